/** The reports of the three runtimes are read as they are really printed, so that no failure is lost on the way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bun, deno, node } from "./runtimes.ts";

const files = ["test/domain/a.test.ts", "test/domain/none.test.ts"];

const onBun = `bun test v1.4.5 (a7733435c)

test/domain/a.test.ts:
(pass) a [4.29ms]
error: no
(fail) b [0.78ms]
(skip) c
(todo) d

test/domain/none.test.ts:

 1 pass
 1 skip
 1 todo
 1 fail
Ran 4 tests across 2 files. [95.00ms]`.split("\n");

const onNode = `✔ a (3.162253ms)
✖ b (0.370679ms)
﹣ c (0.1ms) # SKIP
✔ d (0.139787ms) # TODO
✔ test/domain/none.test.ts (82.151883ms)
ℹ tests 5
ℹ suites 0
ℹ pass 2
ℹ fail 1
ℹ cancelled 0
ℹ skipped 1
ℹ todo 1
ℹ duration_ms 205.763155`.split("\n");

const onDeno = `running 4 tests from ./test/domain/a.test.ts
a ... ok (3ms)
b ... FAILED (4ms)
c ... ignored (0ms)
d ... ignored (0ms)
running 0 tests from ./test/domain/none.test.ts

 ERRORS 

FAILED | 1 passed | 1 failed | 2 ignored (300ms)

error: Test failed`.split("\n");

const expected = { passed: 1, failed: 1, skipped: 2, emptyFiles: ["test/domain/none.test.ts"], ownTests: 0 };

test("read() counts what Bun printed and names the files without tests", () => {
  assert.deepEqual(bun.read(onBun, files), expected);
});

test("read() counts what Node printed and does not take an empty file for a test", () => {
  assert.deepEqual(node.read(onNode, files), expected);
});

test("read() counts what Deno printed and names the files without tests", () => {
  assert.deepEqual(deno.read(onDeno, files), expected);
});

test("read() counts a file that Bun could not load as failed, once", () => {
  const lines = ["test/domain/a.test.ts:", "# Unhandled error between tests", " 0 pass", " 1 fail", " 1 error"];
  assert.deepEqual(bun.read(lines, files), { passed: 0, failed: 1, skipped: 0, emptyFiles: files, ownTests: 0 });
});

test("read() counts apart what only Bun can run, whatever became of it", () => {
  const lines = ["(pass) runtime: a [1.00ms]", "(fail) runtime: b", "(pass) undici: a [1.00ms]", " 2 pass", " 1 fail"];
  const { passed, failed, ownTests } = bun.read(lines, []);
  assert.deepEqual({ passed, failed, ownTests }, { passed: 2, failed: 1, ownTests: 2 });
});

test("read() finds no test in a report that it does not know", () => {
  for (const runtime of [bun, node, deno]) {
    const { passed, failed, skipped } = runtime.read(["all is well"], files);
    assert.equal(passed + failed + skipped, 0, runtime.name);
  }
});

test("isNoise() hides what passed and never what failed", () => {
  for (const [runtime, lines] of [
    [bun, onBun],
    [node, onNode],
    [deno, onDeno],
  ] as const) {
    const shown = lines.filter((line) => !runtime.isNoise(line)).join("\n");
    assert.match(shown, /(?:fail\)|✖) b|b \.\.\. FAILED/, runtime.name);
    assert.doesNotMatch(shown, /(?:pass\)|✔) a|a \.\.\. ok/, runtime.name);
  }
});
