/** A record that nobody could have published costs itself and nothing else, in lanes and delay topics. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ENVELOPE_BODY_BYTES_MAX } from "@posthaste/shared/domain/envelope.ts";
import { envelopeHeaders } from "@posthaste/shared/domain/envelope-record.ts";
import { parseDeadLetterRecord, deadLetterRecord } from "@posthaste/shared/drivers/partitioned/dead-letters/record.ts";
import { parseRetryRecord, retryRecord } from "@posthaste/shared/drivers/partitioned/delay-topics/retry-record.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { ConsumerRecord, NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import { START_MS, sampleDeadLetter, sampleEnvelope, sampleEnvelopes, sampleScheduled } from "../../support/samples.ts";
import { GROUP, TOPICS, openLogWorld } from "./lanes-harness.ts";

/** One fact each that the API would refuse. */
const BAD_FACTS: readonly (readonly [header: string, text: string])[] = [
  ["id", "evt.dotted"],
  ["id", "evt\r\nx: y"],
  ["tenant", "no such/tenant"],
  ["tenant", ""],
  ["type", "a..b"],
  ["accepted", "999999999999999"],
  ["due", "999999999999999"],
  ["traceparent", "ü"],
  ["directory", "-1"],
];

test("records with an odd id, tenant, time or traceparent are put aside with their bytes, and those behind them go on", async () => {
  const world = await openLogWorld(1);
  const process = await world.start();
  const good = sampleEnvelope("evt_good");
  const record = { topic: TOPICS.medium, partition: 0, key: null, timestampMs: START_MS };
  await world.partitionLog.openProducer("stranger").append([
    ...BAD_FACTS.map(([header, text]) => ({
      ...record,
      headers: { ...envelopeHeaders(good), [header]: text },
      value: good.body,
    })),
    { ...record, headers: envelopeHeaders(good), value: new Uint8Array(ENVELOPE_BODY_BYTES_MAX + 1) },
    { ...record, headers: envelopeHeaders(good), value: good.body },
  ]);
  await world.clock.advance(1000);
  const items = await process.lanes.take("medium", 100, new AbortController().signal);
  assert.deepEqual(
    items.map(({ envelope }) => envelope.id),
    ["evt_good"],
  );
  await process.lanes.ack(items);
  await world.clock.advance(1000);
  assert.deepEqual(
    world.poison.map(({ reason }) => reason.split(" must ")[0]),
    [
      ...BAD_FACTS.map(([header]) => `header ${header}`),
      `the event's body has ${ENVELOPE_BODY_BYTES_MAX + 1} bytes, at most ${ENVELOPE_BODY_BYTES_MAX} are taken`,
    ],
  );
  assert.ok(world.poison.slice(0, -1).every(({ value }) => value?.length === good.body.length));
  const [depth] = await world.partitionLog.depth(`${GROUP}.medium`, TOPICS.medium);
  assert.equal(depth?.committed, depth?.end);
});

const read = (record: NewRecord): ConsumerRecord => ({ ...record, partition: 0, offset: 0 });
const GROUP_OF_TWO = { id: "grp_a", closedAtMs: START_MS };

function retryOf(members: readonly Envelope[], parts: Parameters<typeof sampleScheduled>[1] = {}): NewRecord {
  return retryRecord({
    item: sampleScheduled(members, parts),
    relays: 0,
    topic: "retry",
    nowMs: START_MS,
    time: "own",
  });
}

test("a scheduled record that no processor writes is poison, and the reason says which fact", () => {
  const one = retryOf([sampleEnvelope("evt_a")]);
  assert.equal(parseRetryRecord(read(one)).kind, "item");
  const bad: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ attempt: "0" }, /header attempt must be at least 1/],
    [{ attempt: "51" }, /header attempt must be at most 50/],
    [{ generation: "-1" }, /header generation must/],
    [{ parks: "-1" }, /header parks must/],
    [{ hops: "many" }, /header hops must/],
    [{ "not-before": "-5" }, /header not-before must/],
    [{ "not-before": "281474976710655" }, /not-before lies more than a year ahead/],
    [{ endpoint: "ep|1" }, /header endpoint must/],
    [{ cause: "whim" }, /header cause must/],
    [{ group: "no/group" }, /header group must/],
  ];
  for (const [headers, reason] of bad) {
    const parsed = parseRetryRecord(read({ ...one, headers: { ...one.headers, ...headers } }));
    assert.ok(parsed.kind === "poison", JSON.stringify(headers));
    assert.match(parsed.reason, reason);
  }
  const { endpoint: _, ...without } = one.headers;
  assert.deepEqual(parseRetryRecord(read({ ...one, headers: without })), {
    kind: "poison",
    reason: "header endpoint is missing",
  });
});

test("a scheduled record is poison when its members are those of several tenants, or one of them is odd", () => {
  const [first, second] = sampleEnvelopes(2);
  assert.ok(first && second);
  const parsedOf = (other: Envelope) => parseRetryRecord(read(retryOf([first, other], { group: GROUP_OF_TWO })));
  assert.equal(parsedOf(second).kind, "item");
  assert.deepEqual(parsedOf({ ...second, tenant: "other" }), {
    kind: "poison",
    reason: "the members are of several tenants",
  });
  const odd = parsedOf({ ...second, id: "evt.b" });
  assert.ok(odd.kind === "poison");
  assert.match(odd.reason, /^a member: header id must/);
});

test("a dead letter's record whose facts would break its index is poison, and the reason says which fact", () => {
  const good = deadLetterRecord(sampleDeadLetter("dlv_a"), "dead-letter", START_MS);
  assert.equal(parseDeadLetterRecord(read(good)).kind, "dead-letter");
  const bad: readonly (readonly [Partial<NewRecord>, RegExp])[] = [
    [{ key: "dlv a" }, /key/],
    [{ headers: { ...good.headers, "letter-endpoint": "ep:1" } }, /letter-endpoint must/],
    [{ headers: { ...good.headers, "letter-at": "999999999999999" } }, /letter-at must/],
    [{ headers: { ...good.headers, type: "a b" } }, /header type must/],
    [{ headers: { ...good.headers, type: "a".repeat(5000) } }, /header type must have at most 128/],
  ];
  for (const [parts, reason] of bad) {
    const parsed = parseDeadLetterRecord(read({ ...good, ...parts }));
    assert.ok(parsed.kind === "poison", JSON.stringify(parts));
    assert.match(parsed.reason, reason);
  }
});
