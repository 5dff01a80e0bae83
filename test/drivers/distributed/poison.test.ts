/** What cannot be read is put aside whatever its size, told of, and never tried for ever. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Quarantined } from "@posthaste/shared/drivers/distributed/poison.ts";
import { POISON_PARTS_MAX, createPoisonTopic } from "@posthaste/shared/drivers/distributed/poison.ts";
import type { NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import type { QuarantinedRecord } from "@posthaste/shared/ports/quarantined-records.ts";
import { seededEntropy } from "../../support/ambient.ts";
import { START_MS } from "../../support/samples.ts";

const KIB = 1024;

/** A topic that takes records up to a size, as the brokers of Kafka do. */
function openTopic(recordBytesMax: number) {
  const records: NewRecord[] = [];
  const told: Quarantined[] = [];
  const listed: QuarantinedRecord[] = [];
  let tries = 0;
  let isAway = false;
  let isIndexAway = false;
  const onPoison = createPoisonTopic({
    producer: {
      append(appended) {
        tries++;
        if (isAway) return Promise.reject(new PosthasteError("store-unavailable", "Kafka is away."));
        if (appended.some(({ value }) => (value?.length ?? 0) >= recordBytesMax)) {
          return Promise.reject(new PosthasteError("limit-reached", "Kafka refuses a record of this size."));
        }
        records.push(...appended);
        return Promise.resolve();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    clock: { now: () => START_MS },
    entropy: seededEntropy(1),
    index: {
      put: (record) =>
        isIndexAway ? Promise.reject(new Error("Redis is away")) : Promise.resolve(void listed.push(record)),
    },
    onFault: () => undefined,
    onQuarantined: (quarantined) => void told.push(quarantined),
  });
  return {
    records,
    told,
    listed,
    setIndexAway: (away: boolean) => void (isIndexAway = away),
    tries: () => tries,
    setAway: (away: boolean) => void (isAway = away),
    put: (value: Uint8Array | null, headers: Readonly<Record<string, string>> = {}) =>
      onPoison({ topic: "medium", partition: 3, offset: 7, headers, value, reason: "header id is missing" }),
  };
}

const joined = (records: readonly NewRecord[]): Buffer =>
  Buffer.concat(records.map(({ value }) => value ?? new Uint8Array()));

test("a record that could not be read is kept as it is, with its place and reason, and told of", async () => {
  const topic = openTopic(1000 * KIB);
  await topic.put(Uint8Array.of(0, 255), { id: "evt.x" });
  const [record] = topic.records;
  assert.deepEqual([record?.value, topic.records.length], [Uint8Array.of(0, 255), 1]);
  assert.deepEqual(record?.headers, {
    id: "evt.x",
    "poison-topic": "medium",
    "poison-place": "3:7",
    "poison-reason": "header id is missing",
    "poison-bytes": "2",
  });
  assert.deepEqual(topic.told, [
    { topic: "medium", partition: 3, offset: 7, reason: "header id is missing", bytes: 2, keptBytes: 2 },
  ]);
});

test("one that is larger than a record of the log is kept whole, in parts of one key", async () => {
  const topic = openTopic(1000 * KIB);
  const value = Uint8Array.from({ length: 1200 * KIB }, (_, index) => index % 251);
  await topic.put(value);
  assert.deepEqual(
    topic.records.map(({ key, headers }) => [key, headers["poison-part"], headers["poison-cut"]]),
    ["1/3", "2/3", "3/3"].map((part) => ["medium 3:7", part, undefined]),
  );
  assert.ok(joined(topic.records).equals(Buffer.from(value)));
});

test("one that is larger than all parts is cut with a note, and one that the log refuses in every size leaves its note", async () => {
  const roomy = openTopic(1000 * KIB);
  const bytes = 9 * 1024 * KIB;
  await roomy.put(new Uint8Array(bytes));
  assert.equal(joined(roomy.records).length, POISON_PARTS_MAX * 512 * KIB);
  assert.match(roomy.records[0]?.headers["poison-cut"] ?? "", /^the first 8388608 of 9437184 bytes are kept$/);
  assert.deepEqual(
    roomy.told.map(({ keptBytes }) => keptBytes),
    [POISON_PARTS_MAX * 512 * KIB],
  );

  const narrow = openTopic(1);
  await narrow.put(new Uint8Array(100));
  assert.deepEqual([narrow.records.length, narrow.records[0]?.value?.length, narrow.tries()], [1, 0, 3]);
  assert.equal(narrow.told[0]?.keptBytes, 0);

  const shut = openTopic(0);
  await shut.put(new Uint8Array(100));
  assert.deepEqual([shut.records.length, shut.tries(), shut.told.length], [0, 3, 1]);
});

test("headers as large as a record are cut, and a log that is away is tried again by whoever gave the record", async () => {
  const topic = openTopic(1000 * KIB);
  const headers = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`h${index}`, "x".repeat(10_000)]));
  await topic.put(null, headers);
  const kept = JSON.stringify(topic.records[0]?.headers).length;
  assert.ok(kept < 32 * KIB, `${kept} bytes`);
  topic.setAway(true);
  await assert.rejects(topic.put(null), { code: "store-unavailable" });
  assert.equal(topic.told.length, 1);
});

test("what is put aside is listed for people, and a list that cannot be written keeps nothing from being put aside", async () => {
  const topic = openTopic(1000 * KIB);
  await topic.put(Uint8Array.of(7), { id: "evt.x" });
  const [first] = topic.listed;
  assert.match(first?.id ?? "", /^qtn_/);
  assert.deepEqual(
    { ...first, id: "" },
    {
      id: "",
      source: "medium",
      partition: 3,
      offset: 7,
      reason: "header id is missing",
      atMs: START_MS,
      headers: { id: "evt.x" },
      bytes: 1,
      value: Uint8Array.of(7),
    },
  );
  topic.setIndexAway(true);
  await topic.put(Uint8Array.of(8));
  assert.deepEqual([topic.listed.length, topic.records.length, topic.told.length], [1, 2, 2]);
});
