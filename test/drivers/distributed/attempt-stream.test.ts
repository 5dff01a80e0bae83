/** Every attempt goes to the log beside the ledger; nothing waits for it, and what it lost is counted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withAttemptStream } from "@posthaste/shared/drivers/distributed/attempts.ts";
import type { Ledger, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { RecordProducer, NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { ENDPOINT_ID, START_MS, sampleEnvelope, sampleRecord } from "../../support/samples.ts";

const envelope = sampleEnvelope("evt_1");

/** A ledger that notes what it was given, in front of a producer that answers as it is told. */
async function openStream(append: (records: readonly NewRecord[]) => Promise<void>) {
  const harness = await openMemoryHarness();
  const recorded: LedgerEntry[] = [];
  const appended: NewRecord[] = [];
  const losses: number[] = [];
  const kept: Ledger = { ...harness.drivers.ledger, record: (entries) => void recorded.push(...entries) };
  const producer: RecordProducer = {
    append(records) {
      appended.push(...records);
      return append(records);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const onLost = (count: number): void => void losses.push(count);
  const ledger = withAttemptStream(kept, { producer, topic: "attempts", onLost });
  return { ledger, recorded, appended, losses, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
}

function read(record: NewRecord | undefined): unknown {
  assert.ok(record !== undefined && record.value !== null);
  return JSON.parse(new TextDecoder().decode(record.value));
}

test("an answered attempt is one record by the event's id, with the names the API uses", async () => {
  await using stream = await openStream(() => Promise.resolve());
  stream.ledger.record([{ kind: "delivery", delivery: sampleRecord(envelope) }]);
  const [record] = stream.appended;
  assert.equal(stream.appended.length, 1);
  assert.deepEqual(
    { ...record, value: null },
    {
      topic: "attempts",
      partition: null,
      key: "evt_1",
      value: null,
      headers: { tenant: envelope.tenant },
      timestampMs: START_MS + 100,
    },
  );
  assert.deepEqual(read(record), {
    tenant: envelope.tenant,
    event_id: "evt_1",
    event_type: envelope.type,
    endpoint_id: ENDPOINT_ID,
    generation: 0,
    attempt: 1,
    state: "delivered",
    reason: null,
    group_id: null,
    at: new Date(START_MS + 100).toISOString(),
    status: 200,
    duration_ms: 12.5,
  });
});

test("an attempt without an answer says what stopped it", async () => {
  await using stream = await openStream(() => Promise.resolve());
  const result = { kind: "fault", fault: "timeout", detail: "no answer within 15 s", durationMs: 15_000 } as const;
  const reason = "no answer within 15 s";
  stream.ledger.record([{ kind: "delivery", delivery: sampleRecord(envelope, { state: "retrying", result, reason }) }]);
  const { error, detail, duration_ms, status, state } = read(stream.appended[0]) as Record<string, unknown>;
  assert.deepEqual(
    { error, detail, duration_ms, status, state },
    { error: "timeout", detail: "no answer within 15 s", duration_ms: 15_000, status: undefined, state: "retrying" },
  );
});

test("what is no attempt reaches the ledger alone", async () => {
  await using stream = await openStream(() => Promise.resolve());
  const { tenant, id: eventId } = envelope;
  const entries: LedgerEntry[] = [
    { kind: "delivery", delivery: sampleRecord(envelope, { state: "retrying", attempt: 0, result: null }) },
    {
      kind: "fan-out",
      fanOut: { tenant, eventId, atMs: START_MS, matched: [], matchedCount: 0, filtered: [], filteredCount: 0 },
    },
  ];
  stream.ledger.record(entries);
  assert.deepEqual([stream.recorded, stream.appended], [entries, []]);
});

test("a log that refuses costs the stream its attempts, which are counted, and the ledger nothing", async () => {
  await using stream = await openStream(() => Promise.reject(new Error("Kafka is away")));
  const entries: LedgerEntry[] = [1, 2, 3].map((attempt) => ({
    kind: "delivery",
    delivery: sampleRecord(envelope, { attempt }),
  }));
  stream.ledger.record(entries);
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual([stream.recorded, stream.losses], [entries, [3]]);
});
