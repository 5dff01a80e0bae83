import assert from "node:assert/strict";
import { test } from "node:test";
import { waitingFor } from "@posthaste/shared/lib/on-abort.ts";
import { PullWaiters, Waiters } from "@posthaste/shared/lib/waiters.ts";
import type { Waiter } from "@posthaste/shared/lib/waiters.ts";
import fc from "fast-check";

const never = new AbortController().signal;

function first(waiters: Iterable<Waiter>): Waiter {
  for (const waiter of waiters) return waiter;
  return assert.fail("nobody waits");
}

/** Pulls from `stock`; counts how often more was asked for. */
function openPull(waitersMax = 10) {
  const stock: number[] = [];
  const seen = { pulls: 0, waitings: 0 };
  const waiters = new PullWaiters<number>({
    waitersMax,
    pull(max) {
      seen.pulls += 1;
      return stock.splice(0, max);
    },
    onWaiting: () => void (seen.waitings += 1),
  });
  return { stock, seen, waiters };
}

test("Waiters are handed their items one by one, the first that came first", async () => {
  const waiters = new Waiters<string>({ waitersMax: 2 });
  const taken = [waiters.wait(3, never), waiters.wait(5, never)];
  assert.deepEqual(
    [...waiters].map(({ max }) => max),
    [3, 5],
  );
  assert.equal(waiters.hand(first(waiters), ["a"]), true);
  assert.equal(waiters.hand(first(waiters), ["b"]), true);
  assert.deepEqual(await Promise.all(taken), [["a"], ["b"]]);
  assert.equal(waiters.count, 0);
});

test("hand() says false when the waiter is gone, so that its items are not lost", async () => {
  const waiters = new Waiters<string>({ waitersMax: 1 });
  const stop = new AbortController();
  const taken = waiters.wait(1, stop.signal);
  const waiter = first(waiters);
  stop.abort();
  assert.deepEqual(await taken, []);
  assert.equal(waiters.count, 0);
  assert.equal(waiters.hand(waiter, ["a"]), false);
  assert.equal(waiters.refuse(waiter, new Error("late")), false);
});

test("wait() gives nothing at once when the signal is aborted before", async () => {
  const waiters = new Waiters<string>({ waitersMax: 1 });
  assert.deepEqual(await waiters.wait(1, AbortSignal.abort()), []);
  assert.equal(waiters.count, 0);
});

test("one more than may wait is refused, and those who wait go on", async () => {
  const waiters = new Waiters<string>({ waitersMax: 1 });
  const taken = waiters.wait(1, never);
  await assert.rejects(waiters.wait(1, never), { name: "AssertionFailure" });
  waiters.hand(first(waiters), ["a"]);
  assert.deepEqual(await taken, ["a"]);
});

test("all can be dismissed or refused, in order, and none of them listens to its signal any more", async () => {
  const { signal } = new AbortController();
  const waiters = new Waiters<string>({ waitersMax: 4 });
  const told: string[] = [];
  const dismissed = [1, 2].map((max) => waiters.wait(max, signal).then(() => told.push(`dismissed ${max}`)));
  waiters.dismissAll();
  await Promise.all(dismissed);
  const refused = [3, 4].map((max) => waiters.wait(max, signal).catch(() => told.push(`refused ${max}`)));
  waiters.refuseAll(new Error("no store"));
  await Promise.all(refused);
  assert.deepEqual(told, ["dismissed 1", "dismissed 2", "refused 3", "refused 4"]);
  assert.equal(waitingFor(signal), 0);
});

test("take() gives at once what there is", async () => {
  const { stock, seen, waiters } = openPull();
  stock.push(1, 2, 3);
  assert.deepEqual(await waiters.take(2, never), [1, 2]);
  assert.deepEqual(seen, { pulls: 1, waitings: 0 });
});

test("a newcomer stands behind those who wait, even if there is something by now", async () => {
  const { stock, seen, waiters } = openPull();
  const before = waiters.take(1, never);
  stock.push(1, 2);
  const after = waiters.take(1, never);
  waiters.wake();
  assert.deepEqual(await Promise.all([before, after]), [[1], [2]]);
  assert.equal(seen.waitings, 2);
});

test("several wakes of one moment serve once, and who goes without asks for more", async () => {
  const { stock, seen, waiters } = openPull();
  const stop = new AbortController();
  const taken = [waiters.take(1, never), waiters.take(1, stop.signal)];
  stock.push(1);
  for (let call = 0; call < 3; call++) waiters.wake();
  assert.deepEqual(await taken[0], [1]);
  await Promise.resolve();
  // One pull before the first wait, one for each of the two when they were served.
  assert.deepEqual(seen, { pulls: 3, waitings: 3 });
  assert.equal(waiters.count, 1);
  stop.abort();
  assert.deepEqual(await taken[1], []);
});

test("a pull that throws fails the one on whose behalf it was asked, and the next is served", async () => {
  let isBroken = false;
  const stock: number[] = [];
  const waiters = new PullWaiters<number>({
    waitersMax: 10,
    pull(max) {
      if (!isBroken) return stock.splice(0, max);
      isBroken = false;
      throw new Error("no store");
    },
  });
  const taken = [waiters.take(1, never), waiters.take(1, never)];
  isBroken = true;
  stock.push(1);
  waiters.wake();
  const [refused, served] = await Promise.allSettled(taken);
  assert.equal(refused?.status, "rejected");
  assert.deepEqual(served, { status: "fulfilled", value: [1] });
  isBroken = true;
  await assert.rejects(waiters.take(1, never), { message: "no store" });
});

test("when asking for more throws, all who wait are told", async () => {
  let isBroken = false;
  const waiters = new PullWaiters<number>({
    waitersMax: 10,
    pull: () => [],
    onWaiting() {
      if (isBroken) throw new Error("no store");
    },
  });
  const before = waiters.take(1, never);
  isBroken = true;
  const settled = await Promise.allSettled([before, waiters.take(1, never)]);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(waiters.count, 0);
});

test("after close() those who wait and those who come get nothing", async () => {
  const { stock, waiters } = openPull();
  const before = waiters.take(1, never);
  stock.push(1);
  waiters.wake();
  waiters.close();
  assert.deepEqual(await Promise.all([before, waiters.take(1, never)]), [[], []]);
  assert.deepEqual(stock, [1]);
});

test("whatever is brought, taken and given up, nothing is lost, doubled or out of order", async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ step: fc.constant("bring" as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ step: fc.constant("take" as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ step: fc.constant("give up" as const), count: fc.constant(0) }),
      fc.record({ step: fc.constant("turn" as const), count: fc.constant(0) }),
    ),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (given) => {
      const { stock, waiters } = openPull(100);
      const stops: AbortController[] = [];
      const takes: Promise<readonly number[]>[] = [];
      let brought = 0;
      for (const { step, count } of given) {
        if (step === "bring") {
          for (let left = count; left > 0; left--) stock.push(brought++);
          waiters.wake();
        } else if (step === "take") {
          const stop = new AbortController();
          stops.push(stop);
          takes.push(waiters.take(count, stop.signal));
        } else if (step === "give up") {
          stops[Math.floor(stops.length / 2)]?.abort();
        } else {
          await Promise.resolve();
        }
      }
      waiters.wake();
      await Promise.resolve();
      assert.ok(stock.length === 0 || waiters.count === 0, "nobody waits while there is something");
      for (const stop of stops) stop.abort();
      const taken = (await Promise.all(takes)).flat();
      assert.deepEqual(
        [...taken, ...stock],
        Array.from({ length: brought }, (_, number) => number),
      );
    }),
  );
});
