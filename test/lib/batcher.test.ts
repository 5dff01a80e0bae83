import assert from "node:assert/strict";
import { test } from "node:test";
import type { Batcher, BatcherOptions, BatchResult } from "@posthaste/shared/lib/batcher.ts";
import { createBatcher } from "@posthaste/shared/lib/batcher.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

const done = <Value>(value: Value): BatchResult<Value> => ({ kind: "done", value });

function openBatcher(parts: Partial<BatcherOptions<string, string>> = {}) {
  const clock = createManualClock(0);
  const batches: string[][] = [];
  const batcher: Batcher<string, string> = createBatcher({
    clock,
    flush: (items) => {
      batches.push([...items]);
      return items.map((item) => done(item.toUpperCase()));
    },
    itemsMax: 100,
    bytesMax: 1000,
    waitingMax: 1000,
    overflow: () => new Error("too many"),
    ...parts,
  });
  return { clock, batches, batcher };
}

/** A flush that ends when the test says so. */
function openSlowBatcher(parts: Partial<BatcherOptions<string, string>> = {}) {
  const ends: ((settled: readonly BatchResult<string>[]) => void)[] = [];
  const batches: string[][] = [];
  const opened = openBatcher({
    flush: (items) => {
      batches.push([...items]);
      return new Promise((resolve) => void ends.push(resolve));
    },
    ...parts,
  });
  const end = (settled: readonly BatchResult<string>[]): void => ends.shift()?.(settled);
  return { ...opened, batches, end };
}

test("add() resolves with the item's own result", async () => {
  const { batcher } = openBatcher();
  assert.deepEqual(await Promise.all([batcher.add("a", 1), batcher.add("b", 1)]), ["A", "B"]);
});

test("items added in one turn are one batch in the order of add()", async () => {
  const { batcher, batches } = openBatcher();
  await Promise.all(["c", "a", "b"].map((item) => batcher.add(item, 1)));
  assert.deepEqual(batches, [["c", "a", "b"]]);
});

test("a lone item waits for one tick only, and time need not pass", async () => {
  const { batcher, batches, clock } = openBatcher();
  await batcher.add("a", 1);
  assert.deepEqual([batches, clock.monotonic()], [[["a"]], 0]);
});

test("nothing is flushed before the tick", () => {
  const { batcher, batches } = openBatcher();
  void batcher.add("a", 1);
  assert.deepEqual([batches, batcher.waitingCount()], [[], 1]);
});

test("what arrives while a batch is under way is collected into the next one", async () => {
  const { batcher, batches, clock, end } = openSlowBatcher();
  const first = batcher.add("a", 1);
  await clock.settle();
  const others = [batcher.add("b", 1), batcher.add("c", 1)];
  await clock.settle();
  assert.deepEqual(batches, [["a"]]);
  end([done("1")]);
  await clock.settle();
  assert.deepEqual(batches, [["a"], ["b", "c"]]);
  end([done("2"), done("3")]);
  assert.deepEqual(await Promise.all([first, ...others]), ["1", "2", "3"]);
});

test("with more batches at a time none waits for one that is under way, and idle() waits for all", async () => {
  const { batcher, batches, end, clock } = openSlowBatcher({ batchesMax: Infinity, itemsMax: 3 });
  const settled: string[] = [];
  const add = (item: string) => batcher.add(item, 1).then((value) => void settled.push(value));
  const first = ["a", "b", "c", "d"].map(add);
  await clock.settle();
  const others = ["e", "f", "g"].map(add);
  await clock.settle();
  assert.deepEqual(batches, [["a", "b", "c"], ["d"], ["e", "f", "g"]]);
  let isIdle = false;
  const idle = batcher.idle().then(() => void (isIdle = true));
  end(["A", "B", "C"].map(done));
  end([done("D")]);
  await Promise.all(first);
  await clock.settle();
  assert.deepEqual([settled, isIdle, batches.length], [["A", "B", "C", "D"], false, 3]);
  end(["E", "F", "G"].map(done));
  await Promise.all([...others, idle]);
  assert.deepEqual([settled.at(-1), batches.length, batcher.waitingCount()], ["G", 3, 0]);
});

test("a batch holds at most itemsMax items, and the rest follow in order", async () => {
  const { batcher, batches } = openBatcher({ itemsMax: 2 });
  await Promise.all(["a", "b", "c", "d", "e"].map((item) => batcher.add(item, 1)));
  assert.deepEqual(batches, [["a", "b"], ["c", "d"], ["e"]]);
});

test("a batch holds at most bytesMax bytes", async () => {
  const { batcher, batches } = openBatcher({ bytesMax: 10 });
  await Promise.all([batcher.add("a", 6), batcher.add("b", 4), batcher.add("c", 5), batcher.add("d", 6)]);
  assert.deepEqual(batches, [["a", "b"], ["c"], ["d"]]);
});

test("an item larger than bytesMax goes alone instead of never", async () => {
  const { batcher, batches } = openBatcher({ bytesMax: 10 });
  await Promise.all([batcher.add("a", 1), batcher.add("huge", 50), batcher.add("b", 1)]);
  assert.deepEqual(batches, [["a"], ["huge"], ["b"]]);
});

test("one item's failure rejects that item alone", async () => {
  const { batcher } = openBatcher({
    flush: (items) => items.map((item) => (item === "bad" ? { kind: "failed", error: new Error("no") } : done(item))),
  });
  const results = await Promise.allSettled(["a", "bad", "b"].map((item) => batcher.add(item, 1)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
});

test("a flush that throws rejects its own batch, and the next batch goes on", async () => {
  let isBroken = true;
  const { batcher } = openBatcher({
    flush: (items) => {
      if (isBroken) throw new Error("disk");
      return items.map(done);
    },
  });
  const failed = await Promise.allSettled([batcher.add("a", 1), batcher.add("b", 1)]);
  assert.deepEqual(
    failed.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  isBroken = false;
  assert.equal(await batcher.add("c", 1), "c");
});

test("a flush that rejects later rejects its own batch, and the next batch goes on", async () => {
  let isBroken = true;
  const { batcher } = openBatcher({
    flush: async (items) => {
      await Promise.resolve();
      if (isBroken) throw new Error("network");
      return items.map(done);
    },
  });
  await assert.rejects(batcher.add("a", 1), /network/);
  isBroken = false;
  assert.equal(await batcher.add("b", 1), "b");
});

test("a flush that returns too few results rejects the whole batch instead of leaving items waiting", async () => {
  const { batcher } = openBatcher({ flush: (items) => items.slice(1).map(done) });
  const results = await Promise.allSettled([batcher.add("a", 1), batcher.add("b", 1)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected"],
  );
});

test("past waitingMax add() rejects with the caller's error, and what waits is served", async () => {
  const { batcher } = openBatcher({ waitingMax: 2 });
  const waiting = [batcher.add("a", 1), batcher.add("b", 1)];
  await assert.rejects(batcher.add("c", 1), /too many/);
  assert.deepEqual(await Promise.all(waiting), ["A", "B"]);
  assert.equal(await batcher.add("d", 1), "D");
});

test("idle() resolves at once when there is nothing to wait for", async () => {
  const { batcher, batches } = openBatcher();
  await batcher.idle();
  assert.deepEqual(batches, []);
});

test("idle() resolves after the last batch and not before", async () => {
  const { batcher, clock, end } = openSlowBatcher({ itemsMax: 1 });
  let isIdle = false;
  const added = [batcher.add("a", 1), batcher.add("b", 1)];
  const idle = batcher.idle().then(() => (isIdle = true));
  await clock.settle();
  end([done("1")]);
  await clock.settle();
  assert.equal(isIdle, false);
  end([done("2")]);
  await Promise.all([...added, idle]);
  assert.equal(isIdle, true);
});

/** Does two items of each batch, and leaves the rest. */
function openShortBatcher(most = 2) {
  const opened: { batches: string[][] } = { batches: [] };
  const { batcher } = openBatcher({
    mayStopEarly: true,
    flush: (items) => {
      const some = items.slice(0, most);
      opened.batches.push([...some]);
      return some.map((item) => done(item.toUpperCase()));
    },
  });
  return { batcher, batches: opened.batches };
}

test("what a batch did not come to is the beginning of the next one, and each item has its own result", async () => {
  const { batcher, batches } = openShortBatcher();
  const results = await Promise.all(["a", "b", "c", "d", "e"].map((item) => batcher.add(item, 1)));
  assert.deepEqual(results, ["A", "B", "C", "D", "E"]);
  assert.deepEqual(batches, [["a", "b"], ["c", "d"], ["e"]]);
  assert.equal(batcher.waitingCount(), 0);
});

test("urgent items and others take turns, an urgent one first, and each kind keeps its order", async () => {
  const { batcher, batches } = openShortBatcher();
  const first = ["a", "b", "c"].map((item) => batcher.add(item, 1));
  const urgent = ["x", "y", "z"].map((item) => batcher.add(item, 1, "x"));
  const later = urgent[0]?.then(() => Promise.all([batcher.add("u", 1, "x"), batcher.add("d", 1)]));
  await Promise.all([...first, ...urgent, later]);
  assert.deepEqual(batches.flat(), ["x", "a", "y", "b", "z", "c", "u", "d"]);
});

test("those whose urgent items wait take turns, whatever a batch did not come to, and each keeps its order", async () => {
  const { batcher, batches } = openShortBatcher();
  const of = (whose: string, items: readonly string[]) => items.map((item) => batcher.add(item, 1, whose));
  const first = [...of("acme", ["a1", "a2", "a3", "a4"]), ...of("bell", ["b1", "b2"]), batcher.add("other", 1)];
  const later = first[0]?.then(() => Promise.all(of("cord", ["c1"])));
  assert.equal(batcher.waitingCount(), 7);
  await Promise.all([...first, later]);
  assert.deepEqual(batches.flat(), ["a1", "other", "b1", "a2", "c1", "b2", "a3", "a4"]);
  assert.equal(batcher.waitingCount(), 0);
});

test("whose turn did not come in a batch has it in the next", async () => {
  const { batcher, batches } = openShortBatcher(1);
  const all = ["a1", "a2", "a3", "a4", "b1", "b2", "c1"].map((item) => batcher.add(item, 1, item[0]));
  await Promise.all(all);
  assert.deepEqual(batches.flat(), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
});

test("who does not fit into a batch any more is the first of the next, however many smaller ones come", async () => {
  const { batcher, batches } = openBatcher({ bytesMax: 10 });
  const order = [batcher.add("a1", 4, "acme"), batcher.add("b1", 8, "bell"), batcher.add("c1", 4, "cord")];
  order.push(batcher.add("a2", 4, "acme"), batcher.add("c2", 4, "cord"));
  await Promise.all(order);
  assert.deepEqual(batches, [["a1"], ["b1"], ["c1", "a2"], ["c2"]]);
});

test("urgent items that never end do not hold up the others", async () => {
  const { batcher, batches } = openShortBatcher();
  const others = ["a", "b", "c"].map((item) => batcher.add(item, 1));
  const over = new AbortController();
  const publish = async (): Promise<void> => {
    while (!over.signal.aborted) await batcher.add("x", 1, "x");
  };
  const publishers = Array.from({ length: 10 }, publish);
  await Promise.all(others);
  over.abort();
  await Promise.all(publishers);
  assert.deepEqual(batches.slice(0, 3), [
    ["x", "a"],
    ["x", "b"],
    ["x", "c"],
  ]);
});

test("a batch that comes back short without leave to do so fails", async () => {
  const { batcher } = openBatcher({ flush: (items) => items.slice(1).map(done) });
  await assert.rejects(batcher.add("a", 1), /came back with 0 results/);
});
