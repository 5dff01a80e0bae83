/** What a producer does while its log fails, hangs, comes back, or refuses: under a clock set by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpoolClass } from "@posthaste/shared/ports/spool.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { createCircuitBreaker } from "@posthaste/shared/lib/circuit-breaker.ts";
import {
  ALONE_STALL_MS,
  LAST_PATIENCE_MS,
  LOG_BREAKER,
  STALL_MS,
  createSpooledProducer,
} from "@posthaste/shared/drivers/distributed/spooled-producer.ts";
import type { NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import { withCode } from "../../contract/harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

const away = () => new PosthasteError("store-unavailable", "The log is away.");
const recordOf = (key: string, topic = "medium"): NewRecord => {
  return { topic, partition: null, key, value: new Uint8Array(), headers: {}, timestampMs: 0 };
};

interface Send {
  readonly key: string;
  readonly isWithdrawn: () => boolean;
  readonly written: () => void;
  readonly failed: (error: Error) => void;
}

/** A log that leaves each send open until the test ends it, unless `answer` does. */
function openProducer(breaker = createCircuitBreaker(LOG_BREAKER)) {
  const clock = createManualClock(0);
  const state = { answer: "open" as "open" | "written" | Error, spoolFault: null as Error | null, hasSpool: true };
  const sends: Send[] = [];
  const spooled: [string, SpoolClass][] = [];
  const awayTimes: number[] = [];
  const producer = createSpooledProducer({
    producer: {
      append([record], isWithdrawn = () => false) {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        sends.push({ key: record?.key ?? "", isWithdrawn, written: resolve, failed: reject });
        if (state.answer === "written") resolve();
        else if (state.answer !== "open") reject(state.answer);
        return promise;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    spool: {
      append(records, spoolClass) {
        if (state.spoolFault !== null) return Promise.reject(state.spoolFault);
        for (const { key } of records) spooled.push([key ?? "", spoolClass]);
        return Promise.resolve();
      },
    },
    isSpoolReachable: () => state.hasSpool,
    breaker,
    clock,
    onAway: () => void awayTimes.push(clock.monotonic()),
  });
  return { clock, state, sends, spooled, awayTimes, breaker, producer };
}

/** Whether it resolved, by now. */
function watched(work: Promise<void>): { fate: string } {
  const seen = { fate: "waits" };
  work.then(
    () => (seen.fate = "done"),
    (error: unknown) => (seen.fate = error instanceof PosthasteError ? error.code : String(error)),
  );
  return seen;
}

test("a log that fails: the record goes to the spool, and so do the next at once", async () => {
  const { state, sends, spooled, awayTimes, producer } = openProducer();
  state.answer = away();
  await producer.append([recordOf("a")]);
  await producer.append([recordOf("b", "low")]);
  await producer.append([recordOf("c", "retry.5s")]);
  await producer.append([recordOf("d", "attempts")]);
  assert.deepEqual(spooled, [
    ["a", "medium"],
    ["b", "low"],
    ["c", "first"],
    ["d", "attempts"],
  ]);
  assert.equal(sends.length, 1);
  assert.equal(awayTimes.length, 1);
});

test("a log that hangs: all that wait go to the spool once it was silent for half a second, and are withdrawn", async () => {
  const { clock, sends, spooled, producer } = openProducer();
  const a = watched(producer.append([recordOf("a")]));
  await clock.advance(STALL_MS - 1);
  const b = watched(producer.append([recordOf("b")]));
  assert.deepEqual([a.fate, b.fate, spooled], ["waits", "waits", []]);
  await clock.advance(1);
  assert.deepEqual([a.fate, b.fate], ["done", "done"]);
  assert.deepEqual(
    spooled.map(([key]) => key),
    ["a", "b"],
  );
  assert.deepEqual(
    sends.map(({ isWithdrawn }) => isWithdrawn()),
    [true, true],
  );
});

test("a log with much to do that goes on answering keeps all", async () => {
  const { clock, sends, spooled, producer } = openProducer();
  const all = Array.from({ length: 10 }, (_, index) => watched(producer.append([recordOf(`r${index}`)])));
  for (const send of sends) {
    await clock.advance(STALL_MS - 100);
    send.written();
    await clock.settle();
  }
  assert.deepEqual(new Set(all.map(({ fate }) => fate)), new Set(["done"]));
  assert.deepEqual(spooled, []);
});

test("a log that is back is found by one record in a while, which nobody waits for longer than a moment", async () => {
  const { clock, state, sends, spooled, breaker, producer } = openProducer();
  state.answer = away();
  await producer.append([recordOf("a")]);
  state.answer = "open";
  await clock.advance(LOG_BREAKER.probeAfterMs);
  const probe = watched(producer.append([recordOf("probe")]));
  const beside = watched(producer.append([recordOf("beside")]));
  await clock.settle();
  assert.deepEqual([probe.fate, beside.fate], ["waits", "done"]);
  await clock.advance(50);
  assert.equal(probe.fate, "done");
  assert.deepEqual(
    spooled.map(([key]) => key),
    ["a", "beside", "probe"],
  );
  // The answer comes late and is an answer all the same.
  await clock.advance(200);
  sends[1]?.written();
  await clock.settle();
  assert.equal(breaker.state(), "closed");
  state.answer = "written";
  await producer.append([recordOf("next")]);
  assert.equal(spooled.length, 3);
});

test("a log that stays away is tried less and less often, every two seconds at least", async () => {
  const { clock, sends, producer, awayTimes } = openProducer();
  for (let ms = 0; ms < 60_000; ms += 50) {
    void producer.append([recordOf(`at ${ms}`)]);
    await clock.advance(50);
  }
  const withoutFirst = sends.length - STALL_MS / 50;
  assert.ok(withoutFirst >= 20 && withoutFirst <= 30, `${withoutFirst} tries`);
  assert.equal(awayTimes.length, withoutFirst + 1);
});

test("a late failure of what was silent does not count against a log that is back", async () => {
  const { clock, state, sends, breaker, producer } = openProducer();
  void producer.append([recordOf("a")]);
  await clock.advance(STALL_MS + LOG_BREAKER.probeAfterMs);
  state.answer = "written";
  await producer.append([recordOf("probe")]);
  assert.equal(breaker.state(), "closed");
  sends[0]?.failed(away());
  await clock.settle();
  assert.equal(breaker.state(), "closed");
});

test("what the log refuses is refused, and is no outage", async () => {
  const { state, spooled, breaker, producer } = openProducer();
  for (const code of ["limit-reached", "overloaded"] as const) {
    state.answer = new PosthasteError(code, "No.");
    await assert.rejects(producer.append([recordOf("a")]), withCode(code));
  }
  assert.deepEqual(spooled, []);
  assert.equal(breaker.state(), "closed");
});

test("both away: the first hears of the log, the next at once of the spool", async () => {
  const { clock, state, producer } = openProducer();
  state.answer = away();
  state.spoolFault = new PosthasteError("store-unavailable", "The spool is away.");
  await assert.rejects(producer.append([recordOf("a")]), { message: "The log is away." });
  await assert.rejects(producer.append([recordOf("b")]), { message: "The spool is away." });
  state.spoolFault = new PosthasteError("overloaded", "The spool is full.");
  await clock.advance(LOG_BREAKER.probeAfterMs);
  await assert.rejects(producer.append([recordOf("c")]), { message: "The spool is full." });
});

test("a spool that fails while the log only hangs: the log's answer counts when it comes", async () => {
  const { clock, state, sends, producer } = openProducer();
  state.spoolFault = new PosthasteError("store-unavailable", "The spool is away.");
  const a = watched(producer.append([recordOf("a")]));
  await clock.advance(STALL_MS);
  assert.equal(a.fate, "waits");
  sends[0]?.written();
  await clock.settle();
  assert.equal(a.fate, "done");
});

test("both hang: the first are refused after a moment and are not sent any more, the next at once", async () => {
  const { clock, state, sends, producer } = openProducer();
  state.spoolFault = new PosthasteError("store-unavailable", "The spool is away.");
  const first = watched(producer.append([recordOf("first")]));
  await clock.advance(STALL_MS + LAST_PATIENCE_MS - 1);
  assert.equal(first.fate, "waits");
  await clock.advance(1);
  assert.equal(first.fate, "store-unavailable");
  const next = watched(producer.append([recordOf("next")]));
  await clock.settle();
  assert.equal(next.fate, "store-unavailable");
  // One in a while tries the log, and is no exception: an answer after its refusal must not be that it was written.
  await clock.advance(LOG_BREAKER.probeAfterMs);
  const probe = watched(producer.append([recordOf("probe")]));
  assert.equal(sends.at(-1)?.isWithdrawn(), false);
  await clock.advance(50 + LAST_PATIENCE_MS);
  assert.equal(probe.fate, "store-unavailable");
  assert.deepEqual(
    sends.map(({ key, isWithdrawn }) => [key, isWithdrawn()]),
    [
      ["first", true],
      ["probe", true],
    ],
  );
});

test("while there is no spool to go to, a pause of the log is no reason to refuse", async () => {
  const { clock, state, sends, awayTimes, producer } = openProducer();
  state.hasSpool = false;
  state.spoolFault = away();
  const paused = watched(producer.append([recordOf("a")]));
  await clock.advance(ALONE_STALL_MS - 1);
  assert.equal(paused.fate, "waits");
  sends[0]?.written();
  await clock.advance(0);
  assert.equal(paused.fate, "done");
  const silent = watched(producer.append([recordOf("b")]));
  await clock.advance(ALONE_STALL_MS + LAST_PATIENCE_MS);
  assert.equal(silent.fate, "store-unavailable");
  assert.equal(awayTimes.length, 1);
});
