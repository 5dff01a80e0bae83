/** The files that a run of the benches leaves. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Run } from "../../bench/report.ts";
import { writeReport } from "../../bench/report.ts";

const RUN: Run = {
  command: "npm run bench -- <b>",
  startedAt: new Date(Date.UTC(2026, 10, 29, 8, 48, 5)),
  claims: [
    {
      name: "accept",
      seconds: 12,
      findings: [
        {
          title: "five rounds of <x>",
          header: ["subject", "ratio"],
          rows: [
            ["bare & quick", "1.00"],
            ["ours", "0.25"],
            ["none", "NaN"],
          ],
          plotted: 1,
          note: "medians",
        },
        { title: "not plotted", header: ["what"], rows: [["none"]] },
      ],
    },
  ],
};

test("a run leaves its figures as JSON, with what they depend on, as a page with plots, and each plot as a picture", async () => {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-report-"));
  try {
    const path = await writeReport(folder, RUN);
    assert.match(path, /2026-11-29T084805-\w+/);
    const report = JSON.parse(readFileSync(join(path, "report.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual([report["at"], report["claims"]], ["2026-11-29T08:48:05.000Z", RUN.claims]);
    for (const name of ["commit", "cpu", "cores", "memory_gib", "system", "bun"]) assert.ok(report[name], name);
    const page = readFileSync(join(path, "report.html"), "utf8");
    for (const text of ["npm run bench -- &lt;b&gt;", "five rounds of &lt;x&gt;", "bare &amp; quick", "medians"])
      assert.ok(page.includes(text), text);
    const widths = Array.from(page.matchAll(/<rect [^>]*width="([\d.]+)"/g), ([, width]) => Number(width));
    assert.deepEqual(widths, [480, 120, 0]);
    assert.equal(page.match(/<svg\b/g)?.length, 1);
    assert.deepEqual(readdirSync(path).toSorted(), ["accept.svg", "report.html", "report.json"]);
    const picture = readFileSync(join(path, "accept.svg"), "utf8");
    assert.match(
      picture,
      /^<svg\s+xmlns="http:\/\/www.w3.org\/2000\/svg"[\s\S]*bare &amp; quick[\s\S]*<\/svg>\n<!-- .*2026-11-29T08:48:05/,
    );
    assert.equal(picture.match(/<rect\b/g)?.length, 3);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
