/** A short form of the month on each set: weeks of two days. `npm run month` is the long one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { growths } from "./sizes.ts";

const SHORT = ["--visits", "4", "--every", "12"];

test("a size that grows from week to week is told, one that varies is not", () => {
  const weeks = (...sizes: number[]) => sizes.map((size) => new Map([["table a rows", size]]));
  assert.equal(growths(weeks(500, 1000, 1500, 2000)).length, 1);
  assert.equal(growths(weeks(0, 0, 0, 150)).length, 1);
  assert.equal(growths(weeks(900, 1000, 1200, 800)).length, 0);
});

for (const set of ["embedded", "distributed"]) {
  test(`${set}: no table, file, key, topic or map grows from week to week`, async () => {
    const words = ["run", join(import.meta.dirname, "main.ts"), "--set", set, ...SHORT];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
    const code = await new Promise((resolve) => void child.once("close", resolve));
    assert.equal(code, 0, printed);
    assert.match(printed, new RegExp(`^${set}: 0 sizes grow$`, "m"));
  });
}
