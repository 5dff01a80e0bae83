/** Requests that carry records are the same, byte for byte, as kafkajs itself writes them. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { toLogRecord } from "@posthaste/shared/drivers/kafka/held-partition.ts";
import type { ProduceCall } from "@posthaste/shared/drivers/kafka/produce-request.ts";
import { produceBody, replaceProduceRequest } from "@posthaste/shared/drivers/kafka/produce-request.ts";

type Message = ProduceCall["topicData"][number]["partitions"][number]["messages"][number];

const require = createRequire(import.meta.url);
const Long = require("kafkajs/src/utils/long.js");
const VERSIONS = [3, 4, 5, 6, 7];
const DAY_MS = 24 * 3600 * 1000;
const NOW_MS = 1_796_000_000_000;

/** kafkajs' own writer, whatever was put in its place. */
function writtenByKafkajs(version: number, call: ProduceCall): Promise<{ readonly buffer: Buffer }> {
  return require(`kafkajs/src/protocol/requests/produce/v${version}/request.js`)(call).encode();
}

function message(differs: Partial<Message> = {}): Message {
  const headers = { id: "evt_01", tenant: "acme", type: "invoice.paid" };
  return { key: "acme", value: Buffer.from("{}"), headers, timestamp: String(NOW_MS), ...differs };
}

function callOf(...partitions: readonly (readonly Message[])[]): ProduceCall {
  const listed = partitions.map((messages, partition) => ({ partition, messages }));
  return { acks: -1, timeout: 9876, topicData: [{ topic: "acme.lane-medium", partitions: listed }] };
}

const one = (differs: Partial<Message>): ProduceCall => callOf([message(differs)]);
const text = (length: number): string => "x".repeat(length);
const at = (ms: number): Message => message({ timestamp: String(NOW_MS + ms) });

const CALLS: Readonly<Record<string, ProduceCall>> = {
  "one record": one({}),
  "a thousand records": callOf(Array.from({ length: 1000 }, (_, index) => message({ key: String(index) }))),
  "several partitions and topics": {
    acks: 1,
    timeout: 2 ** 31 - 1,
    topicData: ["a", "b", "ü"].flatMap((topic) =>
      callOf([message()], [message(), message()]).topicData.map((data) => ({ ...data, topic })),
    ),
  },
  "no key, no value, no headers": one({ key: null, value: null, headers: {} }),
  "nothing given but the time": callOf([{ timestamp: String(NOW_MS) }]),
  "an empty key, value and header": one({ key: "", value: Buffer.alloc(0), headers: { empty: "", "": "unnamed" } }),
  "texts that are no ASCII": one({
    key: "Zoë",
    headers: { größe: "naïve", emoji: "ok 🚀", half: "\ud800", late: `${text(200)}é` },
  }),
  ...Object.fromEntries(
    [63, 64, 127, 128, 8191, 8192, 1_048_575, 1_048_576].flatMap((length) => [
      [`a value of ${length} bytes`, one({ value: Buffer.alloc(length, 7) })],
      [`a header of ${length} bytes`, one({ headers: { long: text(length) } })],
      [`a key of ${length} bytes`, one({ key: text(length) })],
    ]),
  ),
  ...Object.fromEntries(
    [0, 1, 63, 64, 8191, 8192, 25 * DAY_MS, 32 * DAY_MS, 40_000 * DAY_MS].flatMap((ms) => [
      [`a record ${ms} ms after the first`, callOf([at(0), at(ms)])],
      [`a record ${ms} ms before the first`, callOf([at(ms), at(0), at(ms)])],
    ]),
  ),
  ...Object.fromEntries(
    [undefined, -1, "-1", Long.fromInt(-1)].map((producerId) => [
      `no producer, told as ${typeof producerId} ${String(producerId)}`,
      { ...one({}), producerId },
    ]),
  ),
  "a view of larger bytes": one({ value: Buffer.from("before, within, behind").subarray(8, 14) }),
  "bytes of every value": one({ value: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)) }),
};

for (const [name, call] of Object.entries(CALLS)) {
  test(`kafkajs: the bytes of ${name} are those that it writes itself`, async () => {
    const own = produceBody(call);
    assert.ok(own !== null, "it is written here");
    for (const version of VERSIONS)
      assert.ok(own.equals((await writtenByKafkajs(version, call)).buffer), `version ${version}`);
  });
}

test("kafkajs: the least and the latest time of a batch are those of its records, however many digits they have", () => {
  const body = produceBody(callOf([message({ timestamp: "999" }), at(0), message({ timestamp: "1000" })]));
  const firstTimeAt = 12 + 2 + "acme.lane-medium".length + 4 + 4 + 4 + 27;
  assert.equal(body?.readBigInt64BE(firstTimeAt), 999n);
  assert.equal(body?.readBigInt64BE(firstTimeAt + 8), BigInt(NOW_MS));
});

const LEFT_TO_KAFKAJS: Readonly<Record<string, ProduceCall>> = {
  "in a transaction": { ...one({}), transactionalId: "tx" },
  compressed: { ...one({}), compression: 1 },
  "of an idempotent producer": { ...one({}), producerId: 7 },
  "without a time": callOf([{ value: Buffer.from("{}") }]),
  "with a time that is no number": one({ timestamp: "soon" }),
  "with a header of bytes": one({ headers: { bytes: Buffer.from([255]) } }),
  "with a header twice": one({ headers: { twice: ["a", "b"] } }),
  "with a key of bytes": one({ key: Buffer.from([255]) }),
  "with a text as value": one({ value: "{}" }),
  "with bytes that are no Buffer": one({ value: new Uint8Array(2) }),
  "one of which is not known here": callOf([message()], [message(), message({ value: "{}" })]),
  "of a partition without any": callOf([message()], []),
};

for (const [name, call] of Object.entries(LEFT_TO_KAFKAJS)) {
  test(`kafkajs: records ${name} are left to it`, () => {
    assert.equal(produceBody(call), null);
  });
}

test("kafkajs: requests are written here from version 3 on, and by itself where they are not known here", async () => {
  replaceProduceRequest();
  const Encoder = require("kafkajs/src/protocol/encoder.js");
  const { lookup, requests } = require("kafkajs/src/protocol/requests/index.js");
  const { Produce: apiKey } = require("kafkajs/src/protocol/requests/apiKeys.js");
  const writerOf = async (maxVersion: number, call: ProduceCall): Promise<string> => {
    const { request } = lookup({ [apiKey]: { maxVersion } })(apiKey, requests.Produce)(call);
    const body = await request.encode();
    assert.ok(body.buffer.length > 0);
    return `${body instanceof Encoder ? "kafkajs" : "here"}, version ${request.apiVersion}`;
  };
  assert.equal(await writerOf(9, one({})), "here, version 7");
  assert.equal(await writerOf(3, one({})), "here, version 3");
  assert.equal(await writerOf(2, one({})), "kafkajs, version 2");
  assert.equal(await writerOf(9, { ...one({}), compression: 1 }), "kafkajs, version 7");
});

test("kafkajs: a record with a header without a value, which others may write, is read without that header", () => {
  const read = {
    offset: "3",
    timestamp: String(NOW_MS),
    attributes: 0,
    key: null,
    value: null,
    headers: { none: null, id: Buffer.from("evt_01") },
  };
  const record = toLogRecord({ topic: "t", partition: 0 }, read as never);
  assert.deepEqual(record.headers, { id: "evt_01" });
});
