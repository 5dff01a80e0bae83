/** Lanes of a suite run beside each other and give one report; nothing of a lane is lost in it. */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bun } from "./runtimes.ts";
import { openTemporaryFolder } from "./services/temporary-folder.ts";
import { lanesOf } from "./suite-lanes.ts";
import { addReports, createPrinter, runSuite } from "./suite-run.ts";

/** A test that ends once the other lane's has begun, too. */
const meets = (own: string, other: string): string => `
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
test("meets ${other}", async () => {
  writeFileSync("${own}", "");
  while (!existsSync("${other}")) await new Promise((resolve) => setTimeout(resolve, 5));
});`;

test("lanes run beside each other, and their tests, failures and empty files are counted together", async () => {
  using folder = openTemporaryFolder("lanes");
  const files = {
    "left.test.ts": meets("left", "right"),
    "right.test.ts": meets("right", "left"),
    "bad.test.ts": 'import { test } from "node:test"; test("bad", () => { throw new Error("no"); });',
    "empty.test.ts": "",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, name), text);
  const { report, complaint } = await runSuite({
    runtime: bun,
    binary: process.execPath,
    lanes: [["left.test.ts"], ["bad.test.ts", "empty.test.ts", "right.test.ts"]],
    root: folder.path,
    env: process.env,
    testTimeoutMs: 30_000,
    laneTimeoutMs: 60_000,
    print: () => undefined,
  });
  assert.deepEqual(report, { passed: 2, failed: 1, skipped: 0, emptyFiles: ["empty.test.ts"], ownTests: 0 });
  assert.equal(complaint, "no test in empty.test.ts");
});

test("a lane that could not run is a complaint, however well the other did", async () => {
  using folder = openTemporaryFolder("lanes");
  writeFileSync(join(folder.path, "good.test.ts"), 'import { test } from "node:test"; test("good", () => {});');
  const { report, complaint } = await runSuite({
    runtime: bun,
    binary: process.execPath,
    lanes: [["good.test.ts"], ["none.test.ts"]],
    root: folder.path,
    env: process.env,
    testTimeoutMs: 30_000,
    laneTimeoutMs: 60_000,
    print: () => undefined,
  });
  assert.equal(report.passed, 1);
  assert.match(complaint, /ran no test; the runner ended with 1; no test in none\.test\.ts/);
});

test("lines of a file stay together when lanes share the screen, and come at once when none does", () => {
  const lines = ["test/a.test.ts:", "said by a", "(pass) a [1.00ms]", "", "test/b.test.ts:", "(fail) b [1.00ms]"];
  const printedBy = (isShared: boolean): string[] => {
    const printed: string[] = [];
    const printer = createPrinter(bun, isShared, (text) => printed.push(text));
    for (const line of lines) printer.add(line);
    printer.end();
    return printed.map((text) => text.replace(/ [\d.]+ s$/m, " N s"));
  };
  assert.deepEqual(printedBy(true), [" test/a.test.ts N s\n  said by a", " test/b.test.ts N s\n  (fail) b [1.00ms]"]);
  assert.deepEqual(printedBy(false), ["  said by a", "  (fail) b [1.00ms]"]);
});

test("each file is in one lane; a lane that names a file that is not there is refused", () => {
  assert.deepEqual(lanesOf("lib", ["a", "b"]), [["a", "b"]]);
  const testsOf = (folder: string): readonly string[] =>
    readdirSync(join(import.meta.dirname, "..", folder))
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => `test/${folder}/${name}`);
  for (const [suite, folders] of [
    ["e2e", ["e2e"]],
    ["services", ["contract", "drivers/kafka", "drivers/redis"]],
    ["simulation", ["simulation"]],
  ] as const) {
    const files = [...folders.flatMap(testsOf), "test/a-new.test.ts"];
    const lanes = lanesOf(suite, files);
    assert.deepEqual(lanes.flat().toSorted(), files.toSorted());
    assert.ok(lanes[0]?.includes("test/a-new.test.ts"), "a new file is in the first lane");
  }
  assert.deepEqual(lanesOf("simulation", ["test/simulation/fleet.test.ts"]), [["test/simulation/fleet.test.ts"]]);
  assert.throws(() => lanesOf("e2e", ["test/e2e/new.test.ts"]), /names test\/e2e\/.*, which is not there/);
});

test("addReports() adds each count", () => {
  const one = { passed: 1, failed: 2, skipped: 3, emptyFiles: ["a"], ownTests: 4 };
  const other = { passed: 10, failed: 20, skipped: 30, emptyFiles: ["b"], ownTests: 40 };
  assert.deepEqual(addReports(one, other), {
    passed: 11,
    failed: 22,
    skipped: 33,
    emptyFiles: ["a", "b"],
    ownTests: 44,
  });
});
