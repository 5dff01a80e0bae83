/** Dead letters on a log with their index in Redis: the contract, and what makes up for a crash between the two. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOOK_EVERY_MS } from "@posthaste/shared/drivers/partitioned/dead-letters/fill.ts";
import { createPartitionedDeadLetters } from "@posthaste/shared/drivers/partitioned/dead-letters/dead-letters.ts";
import { createRedisDeadLetterIndex } from "@posthaste/shared/drivers/redis/dead-letters/index-store.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import { deadLetterRecord, tombstoneRecord } from "@posthaste/shared/drivers/partitioned/dead-letters/record.ts";
import type { ConsumerRecord, NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import { plainChance } from "../../support/ambient.ts";
import { deadLettersContract } from "../../contract/dead-letters.contract.ts";
import { withCode } from "../../contract/harness.ts";
import type { LettersHarness } from "./dead-letters-harness.ts";
import { GROUP, TAKEOVER_MS, TOPIC, lettersOpener } from "./dead-letters-harness.ts";
import { ENDPOINT_ID, START_MS, TENANT, sampleDeadLetter, sampleEnvelope } from "../../support/samples.ts";

deadLettersContract("log and redis", lettersOpener());
deadLettersContract("log and redis with 3 shards", async (bounds = {}) => {
  const { deadLetterBytesMax: bytesMax } = bounds;
  // The suite counts over all; each shard has its part.
  return lettersOpener({ shards: bytesMax === undefined ? 3 : 1 })(bounds);
});

/** Letters whose way into the index is tried for a while in vain. */
async function appendInVain(harness: LettersHarness, letters: readonly DeadLetter[]): Promise<void> {
  const appended = harness.letters.append(letters);
  await harness.clock.advance(1000);
  await appended;
}

/** Everything that the topic holds, read by a group of its own. */
async function readRecord(harness: LettersHarness): Promise<ConsumerRecord[]> {
  const found: ConsumerRecord[] = [];
  const joined = harness.partitionLog.openReader("look", [TOPIC], {
    assigned: () => undefined,
    lost: () => undefined,
    records: (_, records) => void found.push(...records),
  });
  await harness.clock.advance(5000);
  await joined;
  return found;
}

test("a letter whose process died between record and index is projected by another", async () => {
  await using harness = await lettersOpener()();
  harness.isIndexAway = true;
  await appendInVain(harness, [sampleDeadLetter("dlv_a")]);
  assert.equal(await harness.letters.find("dlv_a"), null);
  await harness.reopen();
  harness.isIndexAway = false;
  await harness.clock.advance(TAKEOVER_MS);
  assert.deepEqual(await harness.letters.find("dlv_a"), sampleDeadLetter("dlv_a"));
});

test("while the index is away append() resolves, the fault is told, and the projector makes up for it", async () => {
  await using harness = await lettersOpener()();
  harness.isIndexAway = true;
  await appendInVain(harness, [sampleDeadLetter("dlv_a"), sampleDeadLetter("dlv_b")]);
  assert.ok(harness.faults.length > 0);
  await harness.clock.advance(5000);
  harness.isIndexAway = false;
  await harness.clock.advance(60_000);
  assert.equal(await harness.letters.count({ tenant: null }), 2);
});

test("a letter that was taken out does not come back when its record is read late", async () => {
  await using harness = await lettersOpener({ isProjected: false })();
  await harness.letters.append([sampleDeadLetter("dlv_a"), sampleDeadLetter("dlv_b")]);
  await harness.letters.remove([sampleDeadLetter("dlv_a")]);
  const joined = harness.letters.startReading();
  await harness.clock.advance(TAKEOVER_MS);
  await joined;
  assert.equal(await harness.letters.find("dlv_a"), null);
  assert.notEqual(await harness.letters.find("dlv_b"), null);
});

/** As a flushed Redis. */
const WIPE: RedisScript = {
  name: "test-wipe",
  returns: "text",
  lua: "for _, key in ipairs(redis.call('KEYS', KEYS[1] .. ':*')) do redis.call('DEL', key) end return 1",
};

test("a whole record read again into an empty index holds what was not taken out", async () => {
  await using harness = await lettersOpener({ isProjected: false })();
  const held = sampleDeadLetter("dlv_held", { state: "paused", attempts: 1 });
  await harness.letters.append([held, sampleDeadLetter("dlv_b"), sampleDeadLetter("dlv_c")]);
  await harness.letters.append([{ ...held, state: "dead", attempts: 2, atMs: held.atMs + 1 }]);
  const dead = { ...held, state: "dead", attempts: 2, atMs: held.atMs + 1 } as const;
  await harness.letters.remove([dead, sampleDeadLetter("dlv_b")]);
  // The same news may come again by another way after they were taken out: they are other news of the delivery.
  await harness.letters.append([{ ...held, atMs: held.atMs + 5 }]);
  await harness.commands.run(WIPE, [harness.keys.key(0, "dead")], []);
  assert.equal(await harness.letters.count({ tenant: null }), 0);
  const joined = harness.letters.startReading();
  await harness.clock.advance(TAKEOVER_MS);
  await joined;
  const { rows } = await harness.letters.list({ tenant: null }, 10, null);
  assert.deepEqual(
    rows.map(({ id, atMs }) => [id, atMs]),
    [
      ["dlv_held", START_MS + 5],
      ["dlv_c", START_MS],
    ],
  );
});

test("remove() writes the tombstone before it answers, and tells whose letters went", async () => {
  await using harness = await lettersOpener()();
  await harness.letters.append([sampleDeadLetter("dlv_a")]);
  await harness.letters.remove([sampleDeadLetter("dlv_a")]);
  assert.deepEqual(
    harness.removed.map(({ tenant, eventId, endpointId }) => [tenant, eventId, endpointId]),
    [[TENANT, "evt_of_dlv_a", ENDPOINT_ID]],
  );
  const record = await readRecord(harness);
  assert.deepEqual(
    record.map(({ key, value }) => [key, value === null]),
    [
      ["dlv_a", false],
      ["dlv_a", true],
    ],
  );
});

test("what made room is taken out of the record, too", async () => {
  await using harness = await lettersOpener()({ deadLetterBytesMax: 50_000 });
  const big = (id: string, atMs: number) =>
    sampleDeadLetter(id, { atMs, envelope: sampleEnvelope(`evt_${id}`, { body: new Uint8Array(30_000) }) });
  await harness.letters.append([big("dlv_a", 1)]);
  await harness.letters.append([big("dlv_b", 2)]);
  const record = await readRecord(harness);
  assert.deepEqual(
    record.filter(({ value }) => value === null).map(({ key }) => key),
    ["dlv_a"],
  );
});

/** What the spool relays once the log is back: behind what was written meanwhile. */
async function relayLate(harness: LettersHarness, records: readonly NewRecord[]): Promise<void> {
  await using producer = harness.partitionLog.openProducer("spool");
  await producer.append(records);
}

/** What compaction leaves of the topic in the end: the last value of each key. */
async function lastOfEach(harness: LettersHarness): Promise<Record<string, string | null>> {
  const record = await readRecord(harness);
  return Object.fromEntries(
    record.map(({ key, value, headers }) => [key, value === null ? null : headers["letter-state"]]),
  );
}

test("a letter whose record comes behind its tombstone is taken out of the record again", async () => {
  await using harness = await lettersOpener()();
  await harness.clock.advance(TAKEOVER_MS);
  const removed = sampleDeadLetter("dlv_removed");
  const kept = sampleDeadLetter("dlv_kept");
  await harness.letters.append([removed, kept]);
  await harness.letters.remove([removed]);
  await relayLate(
    harness,
    [removed, kept].map((letter) => deadLetterRecord(letter, TOPIC, harness.clock.now())),
  );
  await harness.clock.advance(5000);
  assert.equal(await harness.letters.find("dlv_removed"), null);
  assert.deepEqual(await lastOfEach(harness), { dlv_removed: null, dlv_kept: "dead" });
});

test("a tombstone that comes behind later news of its delivery leaves them in the record", async () => {
  await using harness = await lettersOpener()();
  await harness.clock.advance(TAKEOVER_MS);
  const held = sampleDeadLetter("dlv_a", { state: "paused", attempts: 1 });
  const dead = { ...held, state: "dead", attempts: 2, atMs: held.atMs + 1 } as const;
  await harness.letters.append([held]);
  await harness.letters.remove([held]);
  await harness.letters.append([dead]);
  const revision = `${held.atMs}.paused.1`;
  await relayLate(harness, [tombstoneRecord({ id: held.id, revision }, TOPIC, harness.clock.now())]);
  await harness.clock.advance(5000);
  assert.deepEqual(await harness.letters.find("dlv_a"), dead);
  assert.deepEqual(await lastOfEach(harness), { dlv_a: "dead" });
});

test("earlier news that come behind later ones of their delivery leave those in the record", async () => {
  await using harness = await lettersOpener()();
  await harness.clock.advance(TAKEOVER_MS);
  const held = sampleDeadLetter("dlv_a", { state: "paused", attempts: 1 });
  const dead = { ...held, state: "dead", attempts: 2, atMs: held.atMs + 1 } as const;
  await harness.letters.append([held]);
  await harness.letters.append([dead]);
  await relayLate(harness, [deadLetterRecord(held, TOPIC, harness.clock.now())]);
  await harness.clock.advance(5000);
  assert.deepEqual(await harness.letters.find("dlv_a"), dead);
  assert.deepEqual(await lastOfEach(harness), { dlv_a: "dead" });
});

test("a record that reads in order is written once", async () => {
  await using harness = await lettersOpener()();
  await harness.clock.advance(TAKEOVER_MS);
  const held = sampleDeadLetter("dlv_a", { state: "paused", attempts: 1 });
  await harness.letters.append([held]);
  await harness.clock.advance(5000);
  await harness.letters.remove([held]);
  await harness.letters.append([{ ...held, state: "dead", attempts: 2, atMs: held.atMs + 1 }]);
  await harness.clock.advance(5000);
  assert.equal((await readRecord(harness)).length, 3);
});

test("a record that does not read is poison: kept elsewhere with the reason, and passed", async () => {
  await using harness = await lettersOpener()();
  const producer = harness.partitionLog.openProducer("stranger");
  await producer.append([
    { topic: TOPIC, partition: 0, key: "dlv_x", value: new Uint8Array([1]), headers: {}, timestampMs: 0 },
  ]);
  await harness.letters.append([sampleDeadLetter("dlv_a")]);
  await harness.clock.advance(1000);
  assert.equal(harness.poisoned.length, 1);
  assert.match(harness.poisoned[0] ?? "", /letter-state/);
  assert.notEqual(await harness.letters.find("dlv_a"), null);
});

test("letters of a process that died between tombstone and index are taken out by another, which tells whose", async () => {
  await using harness = await lettersOpener()();
  await harness.letters.append([sampleDeadLetter("dlv_a")]);
  await harness.clock.advance(5000);
  harness.isIndexAway = true;
  await assert.rejects(harness.letters.remove([sampleDeadLetter("dlv_a")]), withCode("store-unavailable"));
  await harness.reopen();
  harness.isIndexAway = false;
  await harness.clock.advance(2 * TAKEOVER_MS);
  assert.equal(await harness.letters.find("dlv_a"), null);
  assert.deepEqual(
    harness.removed.map(({ eventId }) => eventId),
    ["evt_of_dlv_a"],
  );
});

test("what made room for a process that died at once is taken out of the record by the next", async () => {
  await using harness = await lettersOpener({ isProjected: false })({ deadLetterBytesMax: 50_000 });
  const big = (id: string, atMs: number) =>
    sampleDeadLetter(id, { atMs, envelope: sampleEnvelope(`evt_${id}`, { body: new Uint8Array(30_000) }) });
  await harness.letters.append([big("dlv_a", 1)]);
  // Another process, which dies after its put.
  const { commands, keys } = harness;
  const other = createRedisDeadLetterIndex({ commands, keys, bytesMax: 50_000 });
  const told = await other.put([{ deadLetter: big("dlv_b", 2), revision: "1", place: null }]);
  assert.deepEqual(
    told.map(({ id }) => id),
    ["dlv_a"],
  );
  await harness.letters.append([big("dlv_small", 3)].map((letter) => ({ ...letter, envelope: sampleEnvelope("evt") })));
  const record = await readRecord(harness);
  assert.deepEqual(
    record.filter(({ value }) => value === null).map(({ key }) => key),
    ["dlv_a"],
  );
});

test("a held letter that came into the index late has its endpoint looked at again", async () => {
  await using harness = await lettersOpener()();
  harness.isIndexAway = true;
  await appendInVain(harness, [sampleDeadLetter("dlv_held", { state: "paused" }), sampleDeadLetter("dlv_dead")]);
  await harness.clock.advance(5000);
  assert.deepEqual(harness.late, []);
  harness.isIndexAway = false;
  await harness.clock.advance(60_000);
  const inTime = { state: "paused", endpointId: "ep_other", atMs: harness.clock.now() } as const;
  await harness.letters.append([sampleDeadLetter("dlv_in_time", inTime)]);
  await harness.clock.advance(60_000);
  assert.deepEqual([...new Set(harness.late)], [`${TENANT} ${ENDPOINT_ID}`]);
});

test("by a clock that differs each letter is late: what overflows over and over is told as such once in ten minutes", async () => {
  await using harness = await lettersOpener()();
  await harness.clock.advance(TAKEOVER_MS);
  const behindMs = 3600_000;
  let count = 0;
  const record = async (state: "backlog" | "paused", endpointId: string): Promise<void> => {
    const atMs = harness.clock.now() - behindMs;
    const id = `${state}_${count++}`;
    await harness.letters.append([sampleDeadLetter(`dlv_${id}`, { state, endpointId, eventId: `evt_${id}`, atMs })]);
    await harness.clock.advance(1000);
  };
  for (let times = 0; times < 20; times++) await record("backlog", "ep_full");
  for (let times = 0; times < 3; times++) await record("paused", "ep_paused");
  const toldOf = (endpointId: string) => harness.late.filter((each) => each === `${TENANT} ${endpointId}`).length;
  assert.equal(toldOf("ep_full"), 1);
  assert.ok(toldOf("ep_paused") >= 3, "what is held for its owner is told each time");
  await harness.clock.advance(500_000);
  assert.equal(toldOf("ep_full"), 1);
  await harness.clock.advance(160_000);
  assert.equal(toldOf("ep_full"), 2, "what came meanwhile is told at the end");
  await harness.clock.advance(1_200_000);
  assert.equal(toldOf("ep_full"), 2);
  await record("backlog", "ep_full");
  assert.equal(toldOf("ep_full"), 3);
});

test("two processes share the reading of one record, and a letter that either takes out is gone for both", async () => {
  await using harness = await lettersOpener()();
  const { commands, keys, clock } = harness;
  const second = createPartitionedDeadLetters({
    partitionLog: harness.partitionLog,
    topic: TOPIC,
    group: GROUP,
    index: createRedisDeadLetterIndex({ commands, keys }),
    clock: harness.processClock,
    entropy: plainChance,
    onPoison: () => Promise.reject(new Error("nothing is poison here")),
    onFault: assert.ifError,
    onLate: () => undefined,
    onRemoved: () => undefined,
    onExpired: () => undefined,
  });
  const joined = second.startReading();
  await clock.advance(TAKEOVER_MS);
  await joined;
  const letters = Array.from({ length: 20 }, (_, index) =>
    sampleDeadLetter(`dlv_${index}`, { atMs: START_MS + index }),
  );
  harness.isIndexAway = true;
  await appendInVain(harness, letters.slice(0, 10));
  harness.isIndexAway = false;
  await second.append(letters.slice(10));
  await clock.advance(60_000);
  assert.deepEqual((await harness.letters.list({ tenant: null }, 100, null)).rows, letters.toReversed());
  await second.remove(letters.slice(3, 4));
  await harness.letters.remove(letters.slice(15, 16));
  await clock.advance(60_000);
  assert.equal(await second.count({ tenant: null }), 18);
  assert.equal(await harness.letters.find("dlv_3"), null);
  const depths = await harness.partitionLog.depth(GROUP, TOPIC);
  assert.deepEqual(
    depths.map(({ committed, end }) => end - committed),
    [0, 0],
  );
  await second[Symbol.asyncDispose]();
});

test("nothing is committed while the index is away, and all of it afterwards", async () => {
  await using harness = await lettersOpener()();
  const lag = async (): Promise<number> => {
    const depths = await harness.partitionLog.depth(GROUP, TOPIC);
    return depths.reduce((sum, { committed, end }) => sum + end - committed, 0);
  };
  harness.isIndexAway = true;
  await appendInVain(harness, [sampleDeadLetter("dlv_a"), sampleDeadLetter("dlv_b"), sampleDeadLetter("dlv_c")]);
  await harness.clock.advance(60_000);
  assert.equal(await lag(), 3);
  harness.isIndexAway = false;
  await harness.clock.advance(60_000);
  assert.equal(await lag(), 0);
});

test("an index whose Redis lost its data is filled from the record, without what was taken out, and held ones are looked at", async () => {
  await using harness = await lettersOpener()();
  await harness.clock.advance(TAKEOVER_MS);
  const held = sampleDeadLetter("dlv_held", { state: "paused" });
  const gone = sampleDeadLetter("dlv_gone");
  const dead = Array.from({ length: 250 }, (_, index) => sampleDeadLetter(`dlv_${index}`, { atMs: START_MS + index }));
  await harness.letters.append([held, gone, ...dead]);
  await harness.letters.remove([gone]);
  const lua = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end return 'ok'";
  await harness.commands.run({ name: "flush", lua, returns: "text" }, [], [`${harness.keys.channel("")}*`]);
  assert.equal(await harness.letters.count({ tenant: TENANT }), 0);
  const news = sampleDeadLetter("dlv_news");
  await harness.letters.append([news]);
  await harness.clock.advance(2 * LOOK_EVERY_MS);
  assert.equal(await harness.letters.count({ tenant: TENANT }), 252);
  assert.deepEqual(await harness.letters.find(held.id), held);
  assert.equal(await harness.letters.find(gone.id), null);
  assert.ok(harness.late.includes(`${TENANT} ${ENDPOINT_ID}`));
});
