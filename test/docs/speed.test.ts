/** The figures that the README shows are those of one run of the bench, whose report is kept beside its picture. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Claim } from "../../bench/report.ts";

const ROOT = join(import.meta.dirname, "../..");
const SECTION = /^## How fast\n([\s\S]*?)^## /m;

interface Report {
  readonly command: string;
  readonly commit: string;
  readonly claims: readonly Claim[];
}

const section = SECTION.exec(readFileSync(join(ROOT, "README.md"), "utf8"))?.[1] ?? "";
const report = JSON.parse(readFileSync(join(ROOT, "docs/speed/report.json"), "utf8")) as Report;
const printed = new Set(
  report.claims.flatMap(({ findings }) => findings.flatMap(({ rows }) => rows.flatMap((cells) => cells))),
);

/** Of the rows of all tables but for their heads. */
function figuresOf(text: string): readonly string[] {
  const rows = [...text.matchAll(/^\|(.+)\|$/gm)].map(([, row = ""]) => row.split("|").map((cell) => cell.trim()));
  const bodies = rows.filter((_, index) => !isRule(rows[index]) && !isRule(rows[index + 1]));
  return bodies.flatMap((cells) => cells.slice(1)).filter((cell) => cell !== "");
}

function isRule(cells: readonly string[] | undefined): boolean {
  return cells?.every((cell) => /^-+$/.test(cell)) === true;
}

test("each figure of the README's tables was printed by the run that its command makes", () => {
  const figures = figuresOf(section);
  assert.ok(figures.length > 20, `${figures.length} figures`);
  assert.deepEqual(
    figures.filter((figure) => !printed.has(figure.replaceAll(",", ""))),
    [],
  );
  assert.ok(section.includes(`\`${report.command}\``), report.command);
  assert.match(report.commit, /^[0-9a-f]{7,}$/, "the run was of a commit, without changes");
});

test("the README's picture is one that this run made", () => {
  const [, path = ""] = /!\[[^\]]+\]\((docs\/speed\/[\w-]+\.svg)\)/.exec(section) ?? [];
  assert.ok(existsSync(join(ROOT, path)), path);
  const picture = readFileSync(join(ROOT, path), "utf8");
  assert.ok(picture.includes(`commit ${report.commit},`), "the picture names the commit of the report");
  const texts = [...picture.matchAll(/<text\b[^>]*>([^<]+)<\/text>/g)].map(([, text = ""]) => text.trim());
  const headers = new Set(report.claims.flatMap(({ findings }) => findings.flatMap(({ header }) => header)));
  assert.deepEqual(
    texts.filter((text) => !printed.has(text) && !headers.has(text)),
    [],
  );
});
