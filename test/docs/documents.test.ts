/** What the documents point at exists, and what should be listed is. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");
const SKIPPED = new Set(["node_modules", ".git"]);

function documentsUnder(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return documentsUnder(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

const read = (path: string): string => readFileSync(path, "utf8");
const outsideOfCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, "").replaceAll(/`[^`\n]*`/g, "");

/** As GitHub makes them: lower case, blanks to hyphens, most else left out. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test("every relative link of every document leads to a file, and to a heading if it names one", () => {
  const documents = documentsUnder(root);
  const broken: string[] = [];
  let count = 0;
  for (const path of documents) {
    for (const [, target = ""] of outsideOfCode(read(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      count++;
      const [file = "", anchor] = target.split("#");
      const led = file === "" ? path : join(dirname(path), file);
      const hasAnchor = anchor === undefined || (existsSync(led) && anchorsOf(read(led)).has(anchor));
      if (!existsSync(led) || !hasAnchor) broken.push(`${relative(root, path)}: ${target}`);
    }
  }
  assert.ok(count > 20, "the documents hold links");
  assert.deepEqual(broken, []);
});

test("every npm script and every file that the documents name in a command exists", () => {
  const { scripts } = JSON.parse(read(join(root, "package.json"))) as { scripts: Record<string, string> };
  const wrong: string[] = [];
  for (const path of documentsUnder(root)) {
    const text = read(path);
    for (const [words, script = ""] of text.matchAll(/npm run (?:--silent )?([\w:]+)/g)) {
      if (scripts[script] === undefined) wrong.push(`${relative(root, path)}: ${words}`);
    }
    for (const [, file = ""] of text.matchAll(/\b(?:bun|node|python3) ((?:cli|test|bench|examples)\/[\w./-]+\.\w+)/g)) {
      if (!existsSync(join(root, file))) wrong.push(`${relative(root, path)}: ${file}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** Paths of files below a folder, relative to the root. */
function filesUnder(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

test("every file of ours that a document or a comment names exists", () => {
  const files = filesUnder(".");
  const exists = (name: string): boolean => files.some((path) => path === name || path.endsWith(`/${name}`));
  const namesIn = (text: string): string[] =>
    [...text.matchAll(/`([\w./-]+\.(?:ts|lua))`/g)].map(([, name = ""]) => name);
  assert.equal(exists("no-such-file.ts"), false);
  const named = files
    .filter((path) => /\.(?:md|ts|lua)$/.test(path))
    .flatMap((path) => namesIn(read(join(root, path))).map((name) => ({ path, name })));
  assert.ok(named.length > 50, `only ${named.length} names were found`);
  const missing = named.filter(({ name }) => !exists(name.replace(/^(?:\.{1,2}\/)+/, "")));
  assert.deepEqual(
    missing.map(({ path, name }) => `${path}: ${name}`),
    [],
  );
});

test("docs/testing.md has a row for each suite", () => {
  const rows = [...read(join(root, "docs/testing.md")).matchAll(/^\| `([a-z0-9]+)` \|/gm)].map(
    ([, suite = ""]) => suite,
  );
  const folders = readdirSync(join(root, "test"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && testsUnder(join(root, "test", entry.name)))
    .map(({ name }) => name);
  assert.deepEqual(
    rows.toSorted(),
    // Beside the folders: one file, and what of the folders talks to services.
    [...folders, "codebase", "services"].toSorted(),
  );
});

function testsUnder(folder: string): boolean {
  return readdirSync(folder, { withFileTypes: true }).some((entry) => {
    if (SKIPPED.has(entry.name)) return false;
    return entry.isDirectory() ? testsUnder(join(folder, entry.name)) : entry.name.endsWith(".test.ts");
  });
}

test("docs/adr/README.md lists each decision under its title", () => {
  const folder = join(root, "docs/adr");
  const index = read(join(folder, "README.md"));
  const pages = readdirSync(folder).filter((name) => name !== "README.md");
  assert.ok(pages.length > 0);
  for (const name of pages) {
    const [, number = "", title = ""] = /^# (\d{4}): (.+)$/m.exec(read(join(folder, name))) ?? [];
    assert.ok(name.startsWith(`${number}-`), `${name} is headed by its number`);
    assert.ok(index.includes(`| [${number}](${name}) | ${title} |`), `${name}: "${title}" is not in the index`);
    assert.match(
      read(join(folder, name)),
      /^Accepted, \d{4}-\d{2}\.[\s\S]*^## Context$[\s\S]*^## Decision$[\s\S]*^## Consequences$/m,
    );
  }
});
