/** Files that hold keys are neither committed nor built into an image, and no program reads them unasked. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, matchesGlob } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What Bun 1.4.5 loads by itself (bun.com/docs/runtime/env), what compose reads, and a data folder. */
const LOADED_BY_BUN = [".env", ".env.local", ".env.development", ".env.production", ".env.test"];
const SECRETS = [...LOADED_BY_BUN, "compose.env", "cli/.env", "cli/.env.local", ".posthaste/master.key"];

test("git ignores every file that may hold a key", () => {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-ignored-"));
  try {
    copyFileSync(join(ROOT, ".gitignore"), join(folder, ".gitignore"));
    execFileSync("git", ["init", "--quiet", folder]);
    for (const name of SECRETS) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), "");
    }
    const status = execFileSync("git", ["status", "--porcelain", "--untracked-files=all"], { cwd: folder });
    assert.equal(status.toString(), "?? .gitignore\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the image is built without any of them", () => {
  const patterns = readFileSync(join(ROOT, ".dockerignore"), "utf8").split("\n").filter(Boolean);
  // A pattern that matches a folder leaves out all that is in it.
  const isLeftOut = (path: string): boolean =>
    path !== "." && (patterns.some((pattern) => matchesGlob(path, pattern)) || isLeftOut(dirname(path)));
  assert.deepEqual(
    SECRETS.filter((path) => !isLeftOut(path)),
    [],
  );
});

test("compose reads a file that Bun does not load by itself, and the README says how to make that one", () => {
  const compose = readFileSync(join(ROOT, "docker-compose.yml"), "utf8");
  const files = [...compose.matchAll(/- path: (\S+)/g)].map(([, name = ""]) => name);
  assert.ok(files.length > 0);
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  for (const name of files) {
    assert.ok(!LOADED_BY_BUN.includes(name), name);
    assert.ok(readme.includes(`" > ${name}\n`), name);
    assert.ok(readme.includes(`docker compose --env-file ${name} up`), name);
  }
});
