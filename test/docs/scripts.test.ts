/** What people start runs as what the tests and benches start. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { HEAP_SETTING } from "posthaste/program.ts";

test("each npm script of a program gives Bun's heap the setting that tests and benches give it", () => {
  const { scripts } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const [[name, value] = []] = Object.entries(HEAP_SETTING);
  for (const script of ["start", "dev", "serve", "gateway", "processor"])
    assert.ok(scripts[script]?.startsWith(`${name}=${value} exec bun `), script);
});
