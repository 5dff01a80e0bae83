/** Lanes of a suite run beside each other and give one report; nothing of a lane is lost in it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bun } from "./runtimes.ts";
import { openTemporaryFolder } from "./services/temporary-folder.ts";
import { waitFor } from "./services/wait-for.ts";
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

/** A test that never ends, and has started a process that does neither. */
const HANGS = `
import { spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { test } from "node:test";
test("hangs", async () => {
  process.on("SIGTERM", () => undefined);
  const { pid } = spawn("sleep", ["600"], { stdio: "inherit" });
  writeFileSync("new", String(pid));
  renameSync("new", "pid");
  await new Promise((resolve) => setTimeout(resolve, 600_000));
});`;

test("a run that is stopped ends its lanes and what their tests started, also what does not listen to SIGTERM", async () => {
  using folder = openTemporaryFolder("lanes");
  writeFileSync(join(folder.path, "hangs.test.ts"), HANGS);
  const stopping = new AbortController();
  const running = runSuite({
    runtime: bun,
    binary: process.execPath,
    lanes: [["hangs.test.ts"]],
    root: folder.path,
    env: process.env,
    testTimeoutMs: 600_000,
    laneTimeoutMs: 600_000,
    print: () => undefined,
    signal: stopping.signal,
  });
  const pidFile = join(folder.path, "pid");
  await waitFor({ fact: "the test to begin", withinMs: 20_000, holds: () => existsSync(pidFile) });
  stopping.abort();
  const { complaint } = await running;
  assert.match(complaint, /the runner ended with SIG(?:TERM|KILL)/);
  await untilGone(Number(readFileSync(pidFile, "utf8")));
});

for (const [name, exit] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
  ["SIGHUP", 129],
  ["SIGKILL", "SIGKILL"],
] as const) {
  test(`npm test ends on ${name}, and its tests with it`, async () => {
    const run = spawn(process.execPath, [join(import.meta.dirname, "run-all.ts"), "lib"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise((resolve) => run.on("exit", (code, signal) => resolve(code ?? signal)));
    const pid = run.pid ?? assert.fail("it did not start");
    let lanes: readonly number[] = [];
    await waitFor({
      fact: "a lane to run",
      withinMs: 60_000,
      holds: () => (lanes = childrenOf(pid).filter(isBunTest)).length > 0,
    });
    run.kill(name);
    assert.equal(await ended, exit);
    for (const lane of lanes) await untilGone(lane);
  });
}

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function isBunTest(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] === "test";
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<void> {
  await waitFor({ fact: `process ${pid} to be gone`, withinMs: 10_000, holds: () => !existsSync(`/proc/${pid}/stat`) });
}
