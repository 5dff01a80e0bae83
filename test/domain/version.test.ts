/** What telemetry says of the version is what the packages say. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { VERSION } from "@posthaste/shared/domain/version.ts";

test("the version is that of every package", () => {
  for (const folder of [".", "shared", "gateway", "processor", "cli"]) {
    const text = readFileSync(new URL(`../../${folder}/package.json`, import.meta.url), "utf8");
    assert.equal((JSON.parse(text) as { readonly version: string }).version, VERSION, folder);
  }
});
