/** The window of one partition: what it keeps, what it says may be committed, and that nothing is lost in any order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OffsetWindowBounds } from "@posthaste/shared/drivers/partitioned/window/offset-window.ts";
import { OffsetWindow } from "@posthaste/shared/drivers/partitioned/window/offset-window.ts";
import fc from "fast-check";

const BOUNDS: OffsetWindowBounds = { recordsMax: 1000, bytesMax: 1000, spanMax: 100, ageMsMax: 5000 };

function openWindow(parts: Partial<OffsetWindowBounds> = {}, from = 0): OffsetWindow<string> {
  return new OffsetWindow<string>({ from, bounds: { ...BOUNDS, ...parts } });
}

function fill(window: OffsetWindow<string>, offsets: readonly number[], bytes = 1): void {
  for (const offset of offsets) window.add(offset, `at ${offset}`, bytes);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

test("an empty window commits where it began", () => {
  const window = openWindow({}, 42);
  assert.deepEqual([window.head(), window.end(), window.count(), window.oldest()], [42, 42, 0, undefined]);
});

test("the head waits for the first unacked record and then passes all that is acked behind it", () => {
  const window = openWindow();
  fill(window, upTo(5));
  for (const offset of [1, 2, 4]) assert.equal(window.ack(offset), true);
  assert.deepEqual([window.head(), window.ackedCount(), window.oldest()], [0, 3, "at 0"]);
  window.ack(0);
  assert.deepEqual([window.head(), window.ackedCount(), window.oldest()], [3, 1, "at 3"]);
  window.ack(3);
  assert.deepEqual([window.head(), window.ackedCount(), window.count()], [5, 0, 0]);
});

test("known and acked offsets are not taken in again", () => {
  const window = openWindow({}, 10);
  fill(window, [10, 11, 12]);
  window.ack(11);
  window.ack(10);
  for (const offset of [0, 9, 10, 11, 12]) assert.equal(window.add(offset, "again", 1), false);
  assert.deepEqual([window.count(), window.find(12), window.find(11)], [1, "at 12", undefined]);
});

test("settling twice, or what was never read, does nothing", () => {
  const window = openWindow();
  fill(window, [0, 1]);
  assert.deepEqual([window.ack(1), window.ack(1), window.ack(7)], [true, false, false]);
  assert.deepEqual([window.head(), window.count(), window.bytes()], [0, 1, 1]);
});

test("gaps between offsets count as acked, also the one before the first record", () => {
  const window = openWindow({}, 3);
  fill(window, [7, 20, 21]);
  assert.equal(window.head(), 7);
  window.ack(7);
  assert.equal(window.head(), 20);
  window.ack(20);
  window.ack(21);
  assert.equal(window.head(), 22);
});

test("a acked record and its bytes are let go at once, wherever it lies", () => {
  const window = openWindow();
  fill(window, upTo(10), 7);
  window.ack(5);
  assert.deepEqual([window.find(5), window.count(), window.bytes(), [...window.items()].length], [undefined, 9, 63, 9]);
});

test("a window is full at a bound of records, bytes or span, and empty enough at half of it", () => {
  const byRecords = openWindow({ recordsMax: 10 });
  const byBytes = openWindow({ bytesMax: 100 });
  const bySpan = openWindow({ spanMax: 10 });
  const cases = [
    { window: byRecords, bytes: 1 },
    { window: byBytes, bytes: 10 },
    { window: bySpan, bytes: 1 },
  ];
  for (const { window, bytes } of cases) {
    fill(window, upTo(9), bytes);
    assert.equal(window.isFull(), false);
    window.add(9, "last", bytes);
    assert.equal(window.isFull(), true);
    for (const offset of upTo(4)) window.ack(offset);
    assert.equal(window.isFull(), true);
    window.ack(4);
    assert.equal(window.isFull(), false);
  }
});

test("one record above the bound of bytes is taken in all the same", () => {
  const window = openWindow({ bytesMax: 100 });
  assert.equal(window.add(0, "large", 500), true);
  assert.equal(window.isFull(), true);
  window.ack(0);
  assert.equal(window.isFull(), false);
});

test("what nobody works on never blocks, however old it is", () => {
  const window = openWindow({ spanMax: 4 });
  fill(window, upTo(10));
  assert.deepEqual([window.blocksAtMs(), window.blocking(1e9, 100)], [null, []]);
});

test("a head that is under way for the age bound blocks, with all others that are as old, in order", () => {
  const window = openWindow();
  fill(window, upTo(5));
  for (const offset of [0, 1, 2]) window.begin(offset, 1000);
  window.begin(3, 4000);
  assert.equal(window.blocksAtMs(), 6000);
  assert.deepEqual(window.blocking(5999, 100), []);
  assert.deepEqual(
    window.blocking(6000, 100).map(({ offset }) => offset),
    [0, 1, 2],
  );
  assert.deepEqual(window.blocking(6000, 2), [
    { offset: 0, item: "at 0" },
    { offset: 1, item: "at 1" },
  ]);
});

test("a head that was given back blocks no more, and its age begins anew", () => {
  const window = openWindow();
  fill(window, upTo(2));
  window.begin(0, 0);
  window.release(0);
  assert.deepEqual([window.blocksAtMs(), window.blocking(9999, 10)], [null, []]);
  window.begin(0, 8000);
  assert.equal(window.blocksAtMs(), 13_000);
});

test("at the bound of the span the older half blocks at once, and settling it makes room", () => {
  const window = openWindow({ spanMax: 10 });
  fill(window, upTo(10));
  for (const offset of upTo(10)) window.begin(offset, 0);
  window.ack(1);
  const blocking = window.blocking(0, 100).map(({ offset }) => offset);
  assert.deepEqual([window.blocksAtMs(), blocking, window.isFull()], [-Infinity, [0, 2, 3, 4], true]);
  for (const offset of blocking) window.ack(offset);
  assert.deepEqual([window.isFull(), window.blocking(0, 100)], [false, []]);
});

test("a million records that ack in disorder cost no more than what is unacked", () => {
  const window = openWindow({ spanMax: 100_000 });
  for (let offset = 0; offset < 1_000_000; offset++) {
    window.add(offset, "", 1);
    // Each thousandth record stays until 50,000 others came after it.
    if (offset % 1000 !== 0) window.ack(offset);
    if (offset >= 50_000 && offset % 1000 === 0) window.ack(offset - 50_000);
  }
  assert.deepEqual([window.count(), window.head(), window.ackedCount()], [50, 950_000, 49_950]);
});

type Step =
  | { readonly kind: "write"; readonly gap: number }
  | { readonly kind: "read"; readonly count: number }
  | { readonly kind: "ack"; readonly pick: number }
  | { readonly kind: "commit" }
  | { readonly kind: "crash" }
  | { readonly kind: "read-again" };

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("write" as const), gap: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("read" as const), count: fc.integer({ min: 1, max: 8 }) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("ack" as const), pick: fc.nat() }) },
    { weight: 2, arbitrary: fc.constant({ kind: "commit" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "crash" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "read-again" as const }) },
  ),
  { maxLength: 120 },
);

/** One partition, and the group's readers of it one after another. */
function createModel() {
  const written: number[] = [];
  const done = new Set<number>();
  let committed = 0;
  let window = openWindow();
  let readTo = 0;
  const unacked = (): number[] => written.filter((offset) => window.find(offset) !== undefined);
  const read = (count: number): void => {
    const next = written.filter((offset) => offset >= readTo).slice(0, count);
    for (const offset of next) {
      const isNew = window.add(offset, "", 1);
      // A record is handed out, or it was acked before by this very reader.
      assert.ok(isNew || window.find(offset) !== undefined || done.has(offset), `${offset} was skipped`);
      readTo = offset + 1;
    }
  };
  const ack = (pick: number): void => {
    const open = unacked();
    const offset = open[pick % open.length];
    if (offset === undefined) return;
    done.add(offset);
    window.ack(offset);
  };
  const commit = (): void => {
    assert.ok(window.head() >= committed, "the head went back");
    committed = window.head();
    const lost = written.filter((offset) => offset < committed && !done.has(offset));
    assert.deepEqual(lost, [], `committed ${committed}`);
  };
  return {
    apply(step: Step): void {
      if (step.kind === "write") written.push((written.at(-1) ?? -1) + step.gap);
      else if (step.kind === "read") read(step.count);
      else if (step.kind === "ack") ack(step.pick);
      else if (step.kind === "commit") commit();
      else if (step.kind === "crash") {
        window = openWindow({}, committed);
        readTo = committed;
      } else readTo = committed;
      const first = unacked()[0];
      assert.equal(window.head(), first ?? window.end());
      assert.equal(window.count(), unacked().length);
    },
    finish(): void {
      read(Infinity);
      while (unacked().length > 0) ack(0);
      commit();
      assert.deepEqual(
        written.filter((offset) => !done.has(offset)),
        [],
      );
      assert.ok(committed > (written.at(-1) ?? -1), "something is left to commit");
    },
  };
}

test("in any order of settling, committing, crashing and reading again, no commit passes an unacked record", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const model = createModel();
      list.forEach((step) => model.apply(step));
      model.finish();
    }),
    { numRuns: 500 },
  );
});
