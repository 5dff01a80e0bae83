/** The index of records in quarantine, and the way back of one to the HIGH list. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { packEnvelope } from "@posthaste/shared/domain/envelope-record.ts";
import { createQuarantinedRecords } from "@posthaste/shared/drivers/distributed/quarantined-records.ts";
import { createRedisQuarantineIndex } from "@posthaste/shared/drivers/redis/quarantine/quarantine-index.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import type { NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import type { QuarantinedRecord } from "@posthaste/shared/ports/quarantined-records.ts";
import { QUARANTINE_BYTES_MAX } from "@posthaste/shared/ports/quarantined-records.ts";
import { assertCursorsHold } from "../../contract/cursors.contract.ts";
import { idsOf, readAll, withCode } from "../../contract/harness.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";
import { openLaneWorld, takeNow } from "./high-lane-harness.ts";

/** Ids sort by their number. */
function recordOf(number: number, parts: Partial<QuarantinedRecord> = {}): QuarantinedRecord {
  const value = Uint8Array.of(0, 255, number);
  return {
    id: `qtn_${String(number).padStart(26, "0")}`,
    source: "medium",
    partition: 2,
    offset: number,
    reason: "header id is missing",
    atMs: START_MS + number,
    headers: { id: "evt.x" },
    bytes: value.length,
    value,
    ...parts,
  };
}

async function openQuarantine(recordsMax = 500) {
  const world = await openLaneWorld();
  const appended: NewRecord[] = [];
  const index = createRedisQuarantineIndex({ ...world.process, recordsMax });
  const producer = {
    append: async (records: readonly NewRecord[]) => void appended.push(...records),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const records = createQuarantinedRecords({ index, producer, clock: { now: () => START_MS } });
  return { world, index, records, appended, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

test("quarantine: what was put is listed newest first, page by page, and found with its bytes", async () => {
  await using opened = await openQuarantine();
  const all = Array.from({ length: 7 }, (_, number) => recordOf(number));
  for (const record of all) await opened.index.put(record);
  const pages = await readAll((cursor) => opened.records.list(3, cursor));
  assert.deepEqual(pages.flat(), all.toReversed());
  assert.deepEqual([pages.length, await opened.records.count()], [3, 7]);
  assert.deepEqual(await opened.records.find(recordOf(4).id), recordOf(4));
  await opened.records.remove(recordOf(4).id);
  assert.equal(await opened.records.find(recordOf(4).id), null);
  assert.equal(await opened.records.count(), 6);
  await assert.rejects(opened.records.list(3, "bm90IG91cnM"), withCode("invalid-cursor"));
});

test("quarantine: a changed cursor is refused, or stays in the list and comes to its end", async () => {
  await using opened = await openQuarantine();
  const all = Array.from({ length: 7 }, (_, number) => recordOf(number));
  for (const record of all) await opened.index.put(record);
  const ids = new Set(all.map(({ id }) => id));
  const read = (cursor: string | null) => opened.records.list(3, cursor);
  await assertCursorsHold({ read, isOurs: ({ id }) => ids.has(id), pagesMax: all.length });
});

test("quarantine: past its bound the oldest make room, and large values are cut", async () => {
  await using opened = await openQuarantine(3);
  for (let number = 0; number < 5; number++) await opened.index.put(recordOf(number));
  const { rows } = await opened.records.list(100, null);
  assert.deepEqual(
    rows.map(({ offset }) => offset),
    [4, 3, 2],
  );
  const large = new Uint8Array(QUARANTINE_BYTES_MAX + 1).fill(7);
  await opened.index.put(recordOf(9, { value: large, bytes: large.length }));
  const cut = await opened.records.find(recordOf(9).id);
  assert.deepEqual([cut?.bytes, cut?.value?.length], [large.length, QUARANTINE_BYTES_MAX]);
  assert.ok(cut !== null);
  assert.equal(await opened.records.putBack(cut), false);
});

test("quarantine: a record goes back to its topic as it was, one without a value too", async () => {
  await using opened = await openQuarantine();
  assert.equal(await opened.records.putBack(recordOf(1)), true);
  assert.equal(await opened.records.putBack(recordOf(2, { value: null, bytes: 0 })), true);
  const back = { topic: "medium", partition: null, key: null, headers: { id: "evt.x" }, timestampMs: START_MS };
  assert.deepEqual(opened.appended, [
    { ...back, value: recordOf(1).value },
    { ...back, value: null },
  ]);
});

test("quarantine: an item of the HIGH list goes back to it, and is delivered by whoever can read it", async () => {
  await using opened = await openQuarantine();
  const lane = opened.world.lane();
  const value = packEnvelope(sampleEnvelope("evt_a", { priority: "HIGH" }));
  assert.equal(await opened.records.putBack(recordOf(1, { source: "redis.high", value, bytes: value.length })), true);
  const items = await takeNow(opened.world, lane);
  assert.deepEqual(idsOf(items), ["evt_a"]);
  await lane.ack(items);
  assert.deepEqual(await lane.depth(), { count: 0, oldestAtMs: null });
});

const SPOIL: RedisScript = {
  name: "test-spoil-quarantine",
  returns: "text",
  lua: "return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])",
};

test("quarantine: a row that was written by hand costs itself, a key of the wrong type is unavailable", async () => {
  await using opened = await openQuarantine();
  const { commands, keys } = opened.world.process;
  for (const number of [1, 2, 3]) await opened.index.put(recordOf(number));
  for (const text of ["", "{}", "null", '{"value":"%"}', "[".repeat(5000)]) {
    await commands.run(SPOIL, [keys.key(0, "quarantine")], [recordOf(2).id, text]);
    const { rows } = await opened.records.list(100, null);
    assert.deepEqual(
      rows.map(({ offset }) => offset),
      [3, 1],
    );
    assert.equal(await opened.records.find(recordOf(2).id), null);
  }
  const wrongType: RedisScript = {
    name: "test-wrong-type",
    returns: "text",
    lua: "redis.call('DEL', KEYS[1]) return redis.call('SET', KEYS[1], 'x')",
  };
  await commands.run(wrongType, [keys.key(0, "quarantine")], []);
  await assert.rejects(opened.records.list(100, null), withCode("store-unavailable"));
});
