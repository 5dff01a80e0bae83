/** How much the ledger in Redis keeps and how long, and that what is gone leaves nothing behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { createRedisClaims } from "@posthaste/shared/drivers/redis/claims.ts";
import { createRedisLedger, ledgerEventKey } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { EXPIRY_SLACK_MS, HELD_KEPT_MS, OPEN_KEPT_MS } from "@posthaste/shared/drivers/redis/ledger/bounds.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import {
  DAY_MS,
  FAILED,
  OF_ENDPOINT,
  delivery,
  forgetWeights,
  idsKept,
  openLedgerHarness,
  weigh,
} from "./ledger-harness.ts";
import {
  ENDPOINT_ID,
  START_MS,
  TENANT,
  sampleDeadLetter,
  sampleEnvelope,
  sampleRecord,
} from "../../support/samples.ts";

const open = openLedgerHarness();

test("redis ledger: past the events of a tenant its oldest goes, whole, and no other tenant's", async () => {
  await using harness = await openLedgerHarness({ bounds: { eventsPerTenantMax: 3 } })();
  const foreign = sampleEnvelope("evt_foreign", { tenant: "globex", acceptedAtMs: START_MS - 5 });
  const envelopes = [2, 0, 1, 3, 4].map((at) => sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at }));
  const [first, oldest] = envelopes;
  assert.ok(first && oldest);
  await harness.ledger.remember([foreign, first, oldest]);
  harness.ledger.record([delivery(sampleRecord(oldest)), delivery(sampleRecord(first))]);
  await harness.ledger.flush();
  await harness.ledger.remember(envelopes);
  assert.deepEqual(await idsKept(harness.ledger), ["evt_4", "evt_3", "evt_2"]);
  assert.ok(await harness.ledger.event("globex", "evt_foreign"));
  const { rows } = await harness.ledger.attempts(OF_ENDPOINT, 10, null);
  assert.deepEqual(
    rows.map(({ eventId }) => eventId),
    ["evt_2"],
  );
});

test("redis ledger: past its bytes the longest delivered event goes first, the unfinished last", async () => {
  await using harness = await openLedgerHarness({ bounds: { bytesPerShardMax: 44_000 } })();
  const body = new Uint8Array(8000).fill(0x20);
  const envelopes = [0, 1, 2, 3].map((at) => sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at, body }));
  const [open0, done1, done2, open3] = envelopes;
  assert.ok(open0 && done1 && done2 && open3);
  await harness.ledger.remember(envelopes);
  harness.ledger.record([
    delivery(sampleRecord(open0, { state: "retrying", result: FAILED })),
    delivery(sampleRecord(done2, { atMs: START_MS + 100 })),
    delivery(sampleRecord(done1, { atMs: START_MS + 200 })),
  ]);
  await harness.ledger.flush();
  assert.equal((await idsKept(harness.ledger)).length, 4);
  await harness.ledger.remember([sampleEnvelope("evt_4", { body, acceptedAtMs: START_MS + 4 })]);
  assert.deepEqual(await idsKept(harness.ledger), ["evt_4", "evt_3", "evt_1", "evt_0"]);
  await harness.ledger.remember([sampleEnvelope("evt_5", { body, acceptedAtMs: START_MS + 5 })]);
  assert.deepEqual(await idsKept(harness.ledger), ["evt_5", "evt_4", "evt_3", "evt_0"]);
  assert.ok(((await weigh(harness))[3] ?? 0) <= 44_000);
});

test("redis ledger: past its bytes events go of the tenant that keeps most, although another's would expire first", async () => {
  await using harness = await openLedgerHarness({ bounds: { bytesPerShardMax: 100_000 } })();
  const small = [0, 1].map((at) =>
    sampleEnvelope(`evt_small_${at}`, { tenant: "globex", acceptedAtMs: START_MS + at }),
  );
  await harness.ledger.remember(small);
  harness.ledger.record(small.map((envelope) => delivery(sampleRecord(envelope))));
  await harness.ledger.flush();
  const body = new Uint8Array(2000).fill(0x20);
  for (let from = 0; from < 300; from += 50) {
    const flood = Array.from({ length: 50 }, (_, at) =>
      sampleEnvelope(`evt_${from + at}`, { body, acceptedAtMs: START_MS + 10 + from + at }),
    );
    await harness.ledger.remember(flood);
  }
  assert.deepEqual(await idsKept(harness.ledger, "globex"), ["evt_small_1", "evt_small_0"]);
  const kept = await idsKept(harness.ledger);
  assert.ok(kept.length > 10 && kept.length < 40, `${kept.length} of the flood are kept`);
  assert.equal(kept[0], "evt_299");
  assert.ok(((await weigh(harness))[3] ?? 0) <= 100_000);
});

test("redis ledger: events that were kept before tenants were weighed go in the order in which they would expire", async () => {
  await using harness = await openLedgerHarness({ bounds: { bytesPerShardMax: 44_000 } })();
  const body = new Uint8Array(8000).fill(0x20);
  const envelopes = [0, 1, 2, 3].map((at) => sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at, body }));
  await harness.ledger.remember(envelopes);
  await forgetWeights(harness);
  await harness.ledger.remember([sampleEnvelope("evt_4", { body, tenant: "globex", acceptedAtMs: START_MS + 4 })]);
  await harness.ledger.remember([sampleEnvelope("evt_5", { body, tenant: "globex", acceptedAtMs: START_MS + 5 })]);
  assert.deepEqual(await idsKept(harness.ledger, "globex"), ["evt_5", "evt_4"]);
  assert.deepEqual(await idsKept(harness.ledger), ["evt_3", "evt_2"]);
  assert.ok(((await weigh(harness))[3] ?? 0) <= 44_000);
});

test("redis ledger: an endpoint's lists keep the newest only, and its older rows are found by their event", async () => {
  await using harness = await openLedgerHarness({
    bounds: { attemptsPerEndpointMax: 2, deliveriesPerEndpointMax: 3 },
  })();
  const envelopes = [0, 1, 2, 3].map((at) => sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at }));
  await harness.ledger.remember(envelopes);
  harness.ledger.record(
    envelopes.map((envelope) => delivery(sampleRecord(envelope, { atMs: envelope.acceptedAtMs + 9 }))),
  );
  const idsOf = (page: { readonly rows: readonly { readonly eventId: string }[] }) =>
    page.rows.map((row) => row.eventId);
  assert.deepEqual(idsOf(await harness.ledger.attempts(OF_ENDPOINT, 10, null)), ["evt_3", "evt_2"]);
  assert.deepEqual(idsOf(await harness.ledger.deliveries(OF_ENDPOINT, 10, null)), ["evt_3", "evt_2", "evt_1"]);
  const ofEvent = { ...OF_ENDPOINT, eventId: "evt_0" };
  assert.deepEqual(idsOf(await harness.ledger.attempts(ofEvent, 10, null)), ["evt_0"]);
  assert.deepEqual((await weigh(harness)).slice(4), [3, 2]);
});

test("redis ledger: past the deliveries of one event a further one is not recorded, the others go on", async () => {
  await using harness = await openLedgerHarness({ bounds: { deliveriesPerEventMax: 2 } })();
  const envelope = sampleEnvelope("evt_a");
  await harness.ledger.remember([envelope]);
  const of = (endpointId: string, attempt: number) =>
    delivery(sampleRecord(envelope, { endpointId, attempt, state: "retrying", result: FAILED }));
  harness.ledger.record([of("ep_1", 1), of("ep_2", 1), of("ep_3", 1), of("ep_2", 2)]);
  const { rows } = await harness.ledger.deliveries({ tenant: TENANT, eventId: "evt_a" }, 10, null);
  assert.deepEqual(new Map(rows.map((row) => [row.endpointId, row.attempts])), new Map([["ep_1", 1], ["ep_2", 2]])); // prettier-ignore
});

test("redis ledger: what is gone leaves neither rows nor bytes once a later write has trimmed", async () => {
  await using harness = await open();
  const envelopes = Array.from({ length: 30 }, (_, at) => sampleEnvelope(`evt_${at}`));
  await harness.ledger.remember(envelopes);
  const matched = { tenant: TENANT, atMs: START_MS, matched: ["ep_2"], matchedCount: 2 };
  for (let round = 0; round < 2; round++) {
    harness.ledger.record(
      envelopes.flatMap((envelope) => [
        {
          kind: "fan-out" as const,
          fanOut: { ...matched, eventId: envelope.id, filtered: [], filteredCount: 0 },
        },
        delivery(sampleRecord(envelope, { state: "retrying", result: FAILED })),
        delivery(sampleRecord(envelope, { attempt: 2 })),
        delivery(sampleRecord(envelope, { endpointId: "ep_2" })),
      ]),
    );
  }
  await harness.ledger.flush();
  const [due, , , bytes, deliveries, attempts] = await weigh(harness);
  assert.deepEqual([due, deliveries, attempts], [30, 30, 60]);
  assert.ok(bytes !== undefined && bytes > 30 * 1024);
  await harness.clock.advance(DAY_MS + 1000);
  assert.deepEqual(await idsKept(harness.ledger), []);
  await harness.ledger.release([{ ...OF_ENDPOINT, eventId: "evt_none", generation: 0 }]);
  assert.equal((await weigh(harness))[0], 10, "one write trims 20 events");
  await harness.ledger.release([{ ...OF_ENDPOINT, eventId: "evt_none", generation: 0 }]);
  assert.deepEqual(await weigh(harness), [0, 0, 0, 0, 0, 0]);
});

test("redis ledger: an event is kept until all that its fan-out matched is done", async () => {
  await using harness = await open();
  const [wide, nobody] = [sampleEnvelope("evt_wide"), sampleEnvelope("evt_nobody")];
  await harness.ledger.remember([wide, nobody]);
  const fanOut = { tenant: TENANT, atMs: START_MS, matched: [], filtered: [], filteredCount: 0 };
  harness.ledger.record([
    { kind: "fan-out", fanOut: { ...fanOut, eventId: "evt_wide", matchedCount: 2 } },
    { kind: "fan-out", fanOut: { ...fanOut, eventId: "evt_nobody", matchedCount: 0 } },
    delivery(sampleRecord(wide, { endpointId: "ep_1" })),
  ]);
  await harness.clock.advance(DAY_MS + 1000);
  assert.deepEqual(await idsKept(harness.ledger), ["evt_wide"]);
  harness.ledger.record([delivery(sampleRecord(wide, { endpointId: "ep_2" }))]);
  assert.deepEqual(await idsKept(harness.ledger), []);
});

test("redis ledger: an event that owes an attempt is kept 10 days after its last news, a held one 30 days", async () => {
  await using harness = await open();
  const [owing, held] = [sampleEnvelope("evt_owing"), sampleEnvelope("evt_held")];
  await harness.ledger.remember([owing, held]);
  harness.ledger.record([
    delivery(sampleRecord(owing, { state: "retrying", result: FAILED, atMs: START_MS })),
    delivery(sampleRecord(held, { state: "disabled", attempt: 0, result: null, atMs: START_MS })),
  ]);
  await harness.clock.advance(OPEN_KEPT_MS - 1);
  assert.equal((await idsKept(harness.ledger)).length, 2);
  await harness.clock.advance(1);
  assert.deepEqual(await idsKept(harness.ledger), ["evt_held"]);
  await harness.clock.advance(HELD_KEPT_MS - OPEN_KEPT_MS);
  assert.deepEqual(await idsKept(harness.ledger), []);
});

test("redis ledger: what was released and is taken up again within the hour stays known", async () => {
  await using harness = await open();
  const envelope = sampleEnvelope("evt_a");
  await harness.ledger.remember([envelope]);
  harness.ledger.record([delivery(sampleRecord(envelope, { state: "paused", attempt: 0, result: null }))]);
  await harness.clock.advance(5 * DAY_MS);
  const letter = sampleDeadLetter("dlv_a", { envelope });
  await harness.ledger.release([letter]);
  await harness.ledger.release([letter]);
  await harness.clock.advance(3600_000 - 1);
  harness.ledger.record([delivery(sampleRecord(envelope, { atMs: harness.clock.now(), state: "pending", attempt: 0, result: null }))]); // prettier-ignore
  await harness.clock.advance(2 * DAY_MS);
  harness.ledger.record([delivery(sampleRecord(envelope, { atMs: harness.clock.now() }))]);
  await harness.clock.advance(DAY_MS - 1);
  assert.equal((await harness.ledger.deliveries(OF_ENDPOINT, 10, null)).rows[0]?.state, "delivered");
  await harness.clock.advance(1);
  assert.deepEqual(await idsKept(harness.ledger), []);
});

test("redis ledger: remember() twice keeps the first, and a day later the id is another event's", async () => {
  await using harness = await open();
  const first = sampleEnvelope("evt_a");
  await harness.ledger.remember([first]);
  harness.ledger.record([delivery(sampleRecord(first, { state: "retrying", result: FAILED }))]);
  await harness.ledger.remember([{ ...first, acceptedAtMs: START_MS + DAY_MS - 1, body: new Uint8Array([1]) }]);
  assert.deepEqual((await harness.ledger.event(TENANT, "evt_a"))?.envelope, first);
  const second: Envelope = { ...first, acceptedAtMs: START_MS + DAY_MS, body: new Uint8Array([2]) };
  await harness.ledger.remember([second]);
  assert.deepEqual((await harness.ledger.event(TENANT, "evt_a"))?.envelope, second);
  assert.equal(
    await harness.ledger.isCompleted({ ...OF_ENDPOINT, eventId: "evt_a", generation: 0, acceptedAtMs: START_MS }, 0),
    false,
  );
});

/** What Redis itself leaves of the large values of evt_a, in ms; -1 for ever, -2 not there. */
const LEFT: RedisScript = {
  name: "test-left",
  returns: "text",
  lua: `local left = {}
    for index, what in ipairs({'body', 'deliveries', 'attempts', 'times'}) do
      left[index] = redis.call('PTTL', KEYS[1] .. ':' .. what .. ':${TENANT}:evt_a')
    end
    return left`,
};

test("redis ledger: Redis itself drops large values some days after they are gone, and never before", async () => {
  await using harness = await open();
  const envelope = sampleEnvelope("evt_a", { deliverAtMs: START_MS + 5 * DAY_MS });
  const left = async () => (await harness.commands.run(LEFT, [harness.keys.key(0, "ledger")], [])) as readonly number[];
  const assertLeft = (all: readonly number[], keptMs: number): void => {
    const goneMs = 5 * DAY_MS + keptMs;
    for (const ms of all) assert.ok(ms > goneMs && ms <= goneMs + EXPIRY_SLACK_MS, `${ms} ms`);
  };
  await harness.ledger.remember([envelope]);
  const [body = 0, ...others] = await left();
  assertLeft([body], OPEN_KEPT_MS);
  assert.deepEqual(others, [-2, -2, -2]);
  const failed = (endpointId: string) =>
    delivery(sampleRecord(envelope, { endpointId, state: "retrying", result: FAILED }));
  harness.ledger.record([failed(ENDPOINT_ID), failed("ep_2")]);
  await harness.ledger.flush();
  const [bodyLeft = 0, deliveriesLeft, attemptsLeft = 0, timesLeft] = await left();
  assertLeft([bodyLeft, attemptsLeft], OPEN_KEPT_MS);
  assert.deepEqual([deliveriesLeft, timesLeft], [-1, -1], "they hold nobody's text");
  harness.ledger.record([delivery(sampleRecord(envelope, { state: "paused", attempt: 2, result: FAILED }))]);
  await harness.ledger.flush();
  assertLeft(await left(), HELD_KEPT_MS);
});

test("redis ledger: a thousand events that are published at once share a few scripts", async () => {
  let calls = 0;
  const run = (): Promise<readonly number[]> => {
    calls += 1;
    return Promise.resolve([1]);
  };
  const keys = createKeySpace({ shards: 1 });
  const ledger = createRedisLedger({
    spill: null,
    commands: { run },
    keys,
    clock: createManualClock(START_MS),
    onLost: () => {},
  });
  await Promise.all(Array.from({ length: 1000 }, (_, at) => ledger.remember([sampleEnvelope(`evt_${at}`)])));
  assert.ok(calls <= 10, `${calls} calls`);
});

const TIME_LEFT: RedisScript = {
  name: "test-time-left",
  returns: "text",
  lua: "return redis.call('PTTL', KEYS[1])",
};

test("redis ledger: the claim of an event's own id lasts as long as the event, and goes with it", async () => {
  await using harness = await openLedgerHarness({ bounds: { eventsPerTenantMax: 3 } })();
  const { commands, keys, ledger } = harness;
  const claims = createRedisClaims({ commands, keys, eventKey: (tenant, id) => ledgerEventKey(keys, tenant, id) });
  const leftOf = async (id: string) =>
    Number(await commands.run(TIME_LEFT, [keys.key(keys.shardOf(TENANT), `claim:${TENANT}:id:${id}`)], []));
  const accept = async (id: string) => {
    const request = { tenant: TENANT, key: `id:${id}`, fingerprint: "aa", eventIds: [id], acceptedAtMs: START_MS };
    await claims.claim(request);
    const envelope = sampleEnvelope(id);
    await ledger.remember([envelope]);
    await claims.complete(TENANT, `id:${id}`, { status: 202, body: "{}" });
    return envelope;
  };
  const [done, held] = [await accept("own-done"), await accept("own-held")];
  await harness.clock.advance(2 * 3600_000);
  const atMs = harness.clock.now();
  ledger.record([
    delivery(sampleRecord(done, { atMs })),
    delivery(sampleRecord(held, { atMs, state: "paused", result: null, nextAttemptAtMs: null })),
  ]);
  await ledger.flush();
  const hour = 3600_000;
  assert.ok(Math.abs((await leftOf("own-done")) - DAY_MS - 2 * hour) < hour, String(await leftOf("own-done")));
  assert.ok(Math.abs((await leftOf("own-held")) - HELD_KEPT_MS - 2 * hour) < hour, String(await leftOf("own-held")));

  // Past the bound of the tenant the oldest goes: its claim keeps the day that was promised, and no more.
  for (const at of [1, 2, 3]) await ledger.remember([sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at })]);
  assert.equal(await ledger.event(TENANT, "own-held"), null);
  assert.ok((await leftOf("own-held")) <= DAY_MS + hour, String(await leftOf("own-held")));
});
