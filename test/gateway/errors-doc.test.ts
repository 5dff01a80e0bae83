/** docs/errors.md names every code there is, with its status and title, in the table's order. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ERRORS } from "@posthaste/shared/domain/errors.ts";

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const rows = [...page.matchAll(/^\| `([a-z0-9-]+)` \| (\d{3}) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, ...cells]) =>
  cells.map((cell) => cell.trim()),
);

test("docs/errors.md has one row for each error code, with its status and title", () => {
  const expected = Object.entries(ERRORS).map(([code, { status, title }]) => [code, String(status), title]);
  assert.deepEqual(
    rows.map((cells) => cells.slice(0, 3)),
    expected,
  );
});

test("docs/errors.md says for each code what to do", () => {
  for (const [code, , , remedy] of rows) assert.match(remedy ?? "", /^[`A-Z\d].{10,}\.$/, `${code}`);
});
