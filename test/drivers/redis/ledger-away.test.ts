/** The ledger without its Redis, and records that come before their event. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { heapStats } from "bun:jsc";
import { PosthasteError, isStoreUnavailable } from "@posthaste/shared/domain/errors.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { createRedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import type { LedgerBounds } from "@posthaste/shared/drivers/redis/ledger/bounds.ts";
import { LEDGER_WAIT_MS_MAX } from "@posthaste/shared/drivers/redis/ledger/read-budget.ts";
import { RECORD_BUDGET_MS } from "@posthaste/shared/drivers/redis/ledger/way-in.ts";
import type { RedisCommands, RedisReply, RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { FAILED, OF_ENDPOINT, delivery, openLedgerHarness } from "./ledger-harness.ts";
import { START_MS, TENANT, sampleEnvelope, sampleRecord } from "../../support/samples.ts";

const KEY = { ...OF_ENDPOINT, eventId: "evt_a", generation: 0, acceptedAtMs: START_MS };
const entry = delivery(sampleRecord(sampleEnvelope("evt_a")));

/** A ledger whose scripts end as `run` says, on a clock set by hand. */
function createOffline(run: (script: RedisScript) => Promise<RedisReply>, bounds: Partial<LedgerBounds> = {}) {
  const clock = createManualClock(START_MS);
  const lost: number[] = [];
  const onLost = (count: number): void => void lost.push(count);
  const ledger = createRedisLedger({
    spill: null,
    commands: { run },
    keys: createKeySpace({ shards: 1 }),
    clock,
    bounds,
    onLost,
  });
  return { clock, ledger, lost };
}

test("redis ledger: while calls fail at once a repeat is not kept waiting for what is on its way", async () => {
  let isReachable = true;
  const ledger = createRedisLedger({
    spill: null,
    commands: { run: silent },
    keys: createKeySpace({ shards: 1 }),
    clock: createManualClock(START_MS),
    isReachable: () => isReachable,
    onLost: () => undefined,
  });
  ledger.record([entry]);
  isReachable = false;
  // No time passes on this clock: an answer that waits would never come.
  await assert.rejects(ledger.isCompleted(KEY, 1), isStoreUnavailable);
});

const away = (): Promise<never> => Promise.reject(new PosthasteError("store-unavailable", "Redis is away."));
const silent = (): Promise<never> => new Promise(() => undefined);

test("redis ledger: what was recorded while Redis was away for almost a minute is written when it is back", async () => {
  let isAway = true;
  let written = 0;
  const { clock, ledger, lost } = createOffline(() => {
    if (isAway) return away();
    written += 1;
    return Promise.resolve([]);
  });
  ledger.record([entry]);
  await clock.advance(RECORD_BUDGET_MS - 5000);
  ledger.record([entry, entry]);
  isAway = false;
  await clock.advance(3000);
  await ledger.flush();
  assert.deepEqual([written, lost], [2, []]);
});

const standing = [
  ["held for its endpoint", { state: "disabled", reason: "the endpoint is disabled" }],
  ["waiting for another time", { state: "pending", nextAttemptAtMs: START_MS + 60_000 }],
] as const;

for (const [words, news] of standing) {
  test(`redis ledger: what is written again because its answer was lost takes no news back: ${words}`, async () => {
    await using harness = await openLedgerHarness()();
    const envelope = sampleEnvelope("evt_a");
    await harness.ledger.remember([envelope]);
    const none = { attempt: 0, result: null } as const;
    const since = sampleRecord(envelope, { ...none, ...news, atMs: START_MS + 10 });
    let tries = 0;
    const run: RedisCommands["run"] = async (script, keys, args) => {
      const reply = await harness.commands.run(script, keys, args);
      if (script.name !== "ledger-record" || ++tries > 1) return reply;
      harness.ledger.record([delivery(since)]);
      await harness.ledger.flush();
      return away();
    };
    const place = { commands: { run }, keys: harness.keys, clock: systemClock };
    const ledger = createRedisLedger({ ...place, spill: null, onLost: () => assert.fail("nothing is lost") });
    ledger.record([delivery(sampleRecord(envelope, { ...none, state: "pending", atMs: START_MS }))]);
    await ledger.flush();
    const { rows } = await harness.ledger.deliveries({ tenant: TENANT, eventId: "evt_a" }, 10, null);
    assert.equal(tries, 2);
    assert.deepEqual(
      rows.map(({ state, updatedAtMs }) => [state, updatedAtMs]),
      [[news.state, START_MS + 10]],
    );
  });
}

const AHEAD_MS = START_MS + 60_000;
/** What is recorded, and what another process had recorded of the same attempt by a clock that is ahead. */
const STANDING = {
  "an end": [
    { state: "delivered", atMs: START_MS + 10 },
    { state: "retrying", result: FAILED, atMs: AHEAD_MS },
  ],
  "news of a replay behind its first word": [
    { state: "paused", generation: AHEAD_MS, attempt: 0, result: null, atMs: START_MS + 10 },
    { state: "pending", generation: AHEAD_MS, attempt: 0, result: null, atMs: AHEAD_MS },
  ],
} as const;

for (const [words, [news, before]] of Object.entries(STANDING)) {
  for (const way of ["again", "back from the log"] as const) {
    test(`redis ledger: ${words} that is written ${way} stands, whatever the clock of the news before it showed`, async () => {
      await using harness = await openLedgerHarness()();
      const envelope = sampleEnvelope("evt_a");
      await harness.ledger.remember([envelope]);
      const spilled: Uint8Array[] = [];
      let isLost = true;
      const run: RedisCommands["run"] = (script, keys, args) => {
        if (script.name !== "ledger-record" || !isLost) return harness.commands.run(script, keys, args);
        isLost = way === "back from the log";
        return away();
      };
      const place = { commands: { run }, keys: harness.keys, clock: systemClock, onLost: () => assert.fail("lost") };
      const spill = (entries: readonly { readonly value: Uint8Array }[]): Promise<void> => {
        spilled.push(...entries.map(({ value }) => value));
        return Promise.resolve();
      };
      const ledger = createRedisLedger({ ...place, spill: way === "again" ? null : spill });
      ledger.record([delivery(sampleRecord(envelope, news))]);
      harness.ledger.record([delivery(sampleRecord(envelope, before))]);
      await harness.ledger.flush();
      await ledger.flush();
      await harness.ledger.takeBack(spilled);
      const { rows } = await harness.ledger.deliveries({ tenant: TENANT, eventId: "evt_a" }, 10, null);
      assert.deepEqual([rows.map(({ state }) => state), spilled.length], [[news.state], way === "again" ? 0 : 1]);
    });
  }
}

test("redis ledger: records that Redis does not take for a minute are lost and counted, and so is what comes after", async () => {
  let isAway = true;
  const { clock, ledger, lost } = createOffline(() => (isAway ? away() : Promise.resolve([])));
  ledger.record([entry, entry]);
  await clock.advance(1000);
  ledger.record([entry]);
  await clock.advance(RECORD_BUDGET_MS + 3000);
  assert.deepEqual(lost, [2, 1]);
  ledger.record([entry]);
  await clock.settle();
  assert.deepEqual(lost, [2, 1, 1], "one try is enough to know that it is still away");
  isAway = false;
  ledger.record([entry]);
  await clock.settle();
  isAway = true;
  ledger.record([entry]);
  await clock.settle();
  assert.deepEqual(lost, [2, 1, 1], "after a success the budget is whole again");
});

test("redis ledger: records beyond the entries or the bytes that may wait are lost at once and counted", async () => {
  const { clock, ledger, lost } = createOffline(away, { entriesWaitingMax: 3, bytesWaitingMax: 2000 });
  ledger.record([entry, entry]);
  ledger.record([entry, entry]);
  assert.deepEqual(lost, [2], "the second call found no place");
  const reason = "x".repeat(2000);
  ledger.record([delivery(sampleRecord(sampleEnvelope("evt_a"), { state: "retrying", result: FAILED, reason }))]);
  assert.deepEqual(lost, [2, 1], "the third call is too large");
  await clock.advance(RECORD_BUDGET_MS + 3000);
  assert.deepEqual(lost, [2, 1, 2]);
  ledger.record([entry, entry, entry]);
  assert.deepEqual(lost, [2, 1, 2], "there is room again");
});

test("redis ledger: reads and remember() are unavailable after two seconds of a Redis that is silent", async () => {
  const { clock, ledger, lost } = createOffline(silent);
  ledger.record([entry]);
  const answers = [
    ledger.isCompleted(KEY, 1),
    ledger.event(TENANT, "evt_a"),
    ledger.events({ tenant: TENANT }, 10, null),
    ledger.deliveries(OF_ENDPOINT, 10, null),
    ledger.attempts(OF_ENDPOINT, 10, null),
    ledger.release([KEY]),
    ...Array.from({ length: 2000 }, (_, at) => ledger.remember([sampleEnvelope(`evt_${at}`)])),
  ];
  let rejected = 0;
  for (const answer of answers) {
    answer.catch((error: unknown) => {
      assert.ok(isStoreUnavailable(error));
      rejected += 1;
    });
  }
  await clock.advance(LEDGER_WAIT_MS_MAX);
  assert.equal(rejected, answers.length);
  assert.deepEqual(lost, []);
});

test("redis ledger: flush() gives up within seconds and counts what it could not write", async () => {
  const { clock, ledger, lost } = createOffline(away);
  ledger.record([entry, entry]);
  await clock.advance(1000);
  ledger.record([entry]);
  const startedAtMs = clock.monotonic();
  let endedAtMs = Infinity;
  const flushed = ledger.flush().then(() => (endedAtMs = clock.monotonic()));
  await clock.advance(10_000);
  await flushed;
  assert.ok(endedAtMs - startedAtMs <= 8000);
  assert.deepEqual(lost, [2, 1]);
});

test("redis ledger: an entry that Redis refuses for good is lost, counted, and holds up no other", async () => {
  let failures = 1;
  const { clock, ledger, lost } = createOffline(() =>
    failures-- > 0 ? Promise.reject(new Error("ERR a script failed")) : Promise.resolve([]),
  );
  ledger.record([entry]);
  await clock.settle();
  ledger.record([entry]);
  await ledger.flush();
  assert.deepEqual(lost, [1]);
});

test("redis ledger: what was recorded before its event was known is placed a second later", async () => {
  await using harness = await openLedgerHarness({ shards: 3 })();
  const { ledger, clock, lost } = harness;
  const envelope = sampleEnvelope("evt_a");
  ledger.record([entry]);
  assert.equal(await ledger.isCompleted(KEY, 0), false);
  await ledger.remember([envelope]);
  await clock.advance(1000);
  assert.equal((await ledger.deliveries(OF_ENDPOINT, 10, null)).rows[0]?.state, "delivered");
  assert.deepEqual(lost, []);
});

test("redis ledger: flush() places what came before its event at once, and forgets what has none", async () => {
  await using harness = await openLedgerHarness()();
  const { ledger, clock, lost } = harness;
  ledger.record([entry, delivery(sampleRecord(sampleEnvelope("evt_none")))]);
  assert.equal(await ledger.isCompleted(KEY, 0), false);
  await ledger.remember([sampleEnvelope("evt_a")]);
  await ledger.flush();
  assert.equal(await ledger.isCompleted(KEY, 0), true);
  await ledger.remember([sampleEnvelope("evt_none")]);
  await clock.advance(5000);
  assert.equal(await ledger.isCompleted({ ...KEY, eventId: "evt_none" }, 0), false, "there is no third try");
  assert.deepEqual(lost, []);
});

test("redis ledger: an ack may follow a record only when its event was found, or after two seconds", async () => {
  await using harness = await openLedgerHarness()();
  let isFree = false;
  const ask = (): void => void harness.ledger.recorded().then(() => (isFree = true));
  harness.ledger.record([entry]);
  ask();
  await harness.clock.advance(50);
  assert.equal(isFree, false);
  await harness.ledger.remember([sampleEnvelope("evt_a")]);
  await harness.clock.advance(100);
  assert.equal(isFree, true);
  assert.equal(await harness.ledger.isCompleted(KEY, 1), true);

  isFree = false;
  harness.ledger.record([delivery(sampleRecord(sampleEnvelope("evt_never")))]);
  ask();
  await harness.clock.advance(LEDGER_WAIT_MS_MAX - 100);
  assert.equal(isFree, false);
  await harness.clock.advance(200);
  assert.equal(isFree, true);
});

test("redis ledger: of calls that are written nothing stays in memory", async () => {
  const { clock, ledger } = createOffline(() => Promise.resolve([]));
  const living = (): number => {
    Bun.gc(true);
    return heapStats().objectCount;
  };
  const recordMany = async (): Promise<void> => {
    for (let call = 0; call < 2000; call++) {
      ledger.record([entry]);
      // Some while the call before is under way, others after it.
      if (call % 2 === 0) await clock.settle();
    }
    await ledger.flush();
  };
  await recordMany();
  const before = living();
  await recordMany();
  const more = living() - before;
  assert.ok(more < 1000, `${more} objects stay of 2,000 calls`);
});
