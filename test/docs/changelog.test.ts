/** The form of CHANGELOG.md, and one version for all that is released together. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const read = (path: string): string => readFileSync(join(import.meta.dirname, "../..", path), "utf8");
const versionOf = (path: string): string => (JSON.parse(read(path)) as { readonly version: string }).version;

test("what is unreleased comes first, then each release under its version and day, newest first", () => {
  const [first, ...releases] = [...read("CHANGELOG.md").matchAll(/^## (.+)$/gm)].map(([, heading = ""]) => heading);
  assert.equal(first, "Unreleased");
  const versions = releases.map((heading) => {
    const [, version] = /^(\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}$/.exec(heading) ?? [];
    assert.ok(version !== undefined, heading);
    return version;
  });
  assert.deepEqual(
    versions,
    versions.toSorted((a, b) => b.localeCompare(a, "en", { numeric: true })),
  );
  if (versions[0] !== undefined) assert.equal(versions[0], versionOf("cli/package.json"));
});

test("all workspaces have the same version", () => {
  const { workspaces } = JSON.parse(read("package.json")) as { readonly workspaces: readonly string[] };
  const versions = ["", ...workspaces].map((folder) => versionOf(join(folder, "package.json")));
  assert.equal(new Set(versions).size, 1, versions.join(" "));
});
