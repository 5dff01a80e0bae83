/** The files that docs/architecture.md names for the walk of an event are those that really run. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");
/** Installed by `npm test`; see test/support/run-all.ts. */
const node = join(root, "test/runtimes/node_modules/.bin/node");
const FILES_MAX = 40;

/** Gateway, processor and the drivers behind the ports; pure functions of the layers below are called and return. */
const isOnTheWalk = (path: string): boolean => /^(?:gateway|processor|shared\/drivers\/(?:http|sqlite))\//.test(path);

function documented(): string[] {
  const page = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const block = /```text\n(gateway\/[\s\S]*?)```/.exec(page)?.[1] ?? "";
  return block.trim().split("\n").toSorted();
}

function measured(): string[] {
  const child = spawnSync(node, [join(import.meta.dirname, "walk-child.ts")], { encoding: "utf8", timeout: 60_000 });
  assert.equal(child.status, 0, `${node} failed (npm test installs it): ${child.error?.message ?? child.stderr}`);
  return (JSON.parse(child.stdout) as string[]).filter(isOnTheWalk);
}

test("the walk of an event is the one that the architecture guide lists", () => {
  assert.deepEqual(documented(), measured());
});

test("an event crosses few files of the gateway and the processor", () => {
  const ours = documented().filter((path) => !path.startsWith("shared/"));
  assert.ok(ours.length > 0 && ours.length <= FILES_MAX, `${ours.length} files`);
});
