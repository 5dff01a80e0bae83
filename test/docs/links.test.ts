/** Every link in the documents leads to a file that is there. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

function documents(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name === ".git") return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return documents(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** Relative targets of Markdown links, without their fragment; code blocks are no links. */
function linksOf(text: string): string[] {
  const prose = text.replace(/```[\s\S]*?```/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target.replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));
}

const found = documents(".");

test("there are documents, and they link to files", () => {
  const links = found.flatMap((path) => linksOf(readFileSync(join(root, path), "utf8")));
  assert.ok(found.length >= 5 && links.length >= 20, `${found.length} documents, ${links.length} links`);
});

test("a link to nothing is seen", () => {
  assert.deepEqual(linksOf("[a](b.md#c) [d](https://e) [f](#g)\n```\n[h](i)\n```"), ["b.md"]);
});

for (const path of found) {
  test(`each link of ${relative(".", path)} leads somewhere`, () => {
    const missing = linksOf(readFileSync(join(root, path), "utf8")).filter(
      (target) => !existsSync(join(root, dirname(path), target)),
    );
    assert.deepEqual(missing, []);
  });
}
