/** The ledger in Redis: its contracts, its bounds, its lists over shards, and what becomes of records without Redis. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { DeliveryState } from "@posthaste/shared/domain/delivery.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/key-space.ts";
import type { RedisLedger } from "@posthaste/shared/drivers/redis/ledger.ts";
import { createRedisLedger } from "@posthaste/shared/drivers/redis/ledger.ts";
import type { LedgerBounds } from "@posthaste/shared/drivers/redis/ledger-bounds.ts";
import { HELD_KEPT_MS, OPEN_KEPT_MS } from "@posthaste/shared/drivers/redis/ledger-bounds.ts";
import { LOOKED_MAX, PARTS_MAX } from "@posthaste/shared/drivers/redis/ledger-pages.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/redis-commands.ts";
import type { DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { DeliveryRecord, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { openMemoryHarness } from "./embedded-harness.ts";
import type { HarnessBounds } from "./harness.ts";
import { ENDPOINT_ID, START_MS, TENANT, readAll, sampleEnvelope, sampleLetter, sampleRecord } from "./harness.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { ledgerRetentionContract } from "./ledger-retention.contract.ts";
import { openRedisHarness, type RedisHarness } from "./redis-harness.ts";

const DAY_MS = 24 * 3600_000;
const OF_ENDPOINT = { tenant: TENANT, endpointId: ENDPOINT_ID };
const FAILED: AttemptResult = { kind: "fault", fault: "timeout", detail: "no answer", durationMs: 0.5 };

const delivery = (record: DeliveryRecord): LedgerEntry => ({ kind: "delivery", delivery: record });

interface LedgerHarness extends RedisHarness {
  readonly ledger: RedisLedger;
  readonly lost: readonly number[];
}

/** The other ports come from an embedded set; what they tell the ledger of a distributed set, they tell this one. */
function opener(options: { readonly shards?: number; readonly bounds?: Partial<LedgerBounds> } = {}) {
  return async (harnessBounds: HarnessBounds = {}): Promise<LedgerHarness> => {
    const lost: number[] = [];
    const onLost = (count: number): void => void lost.push(count);
    let ledger: RedisLedger | undefined;
    const given = options.bounds === undefined ? {} : { bounds: options.bounds };
    const open = openRedisHarness(
      ({ commands, keys, clock }) => {
        const opened = createRedisLedger({ commands, keys, clock, onLost, ...given });
        ledger = opened;
        return { ledger: opened, flush: () => opened.flush() };
      },
      options.shards === undefined ? {} : { shards: options.shards },
    );
    const inner = await open(harnessBounds);
    const current = (): RedisLedger => {
      assert.ok(ledger);
      return ledger;
    };
    return {
      clock: inner.clock,
      keys: inner.keys,
      faults: inner.faults,
      lost,
      get commands() {
        return inner.commands;
      },
      get ledger() {
        return current();
      },
      get drivers() {
        return withLedger(inner.drivers, current());
      },
      reopen: () => inner.reopen(),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  };
}

function withLedger(drivers: Drivers, ledger: RedisLedger): Drivers {
  return {
    ...drivers,
    lanes: {
      ...drivers.lanes,
      async append(envelopes) {
        await ledger.remember(envelopes);
        await drivers.lanes.append(envelopes);
      },
    },
    deadLetters: withRelease(drivers.deadLetters, ledger),
  };
}

function withRelease(deadLetters: DeadLetters, ledger: RedisLedger): DeadLetters {
  return {
    ...deadLetters,
    async remove(ids) {
      const letters = await Promise.all(ids.map((id) => deadLetters.find(id)));
      await deadLetters.remove(ids);
      await ledger.release(letters.flatMap((letter) => (letter === null ? [] : [letter])));
    },
  };
}

const open = opener();

ledgerContract("redis", open);
ledgerContract("redis with 3 shards", opener({ shards: 3 }));
ledgerRetentionContract("redis", open);

/** How many events and bytes the shard counts, and how many rows its lists of ENDPOINT_ID have. */
const WEIGH: RedisScript = {
  name: "test-weigh",
  returns: "text",
  lua: `local to = KEYS[1] .. ':to:${TENANT}:${ENDPOINT_ID}:'
    return {redis.call('ZCARD', KEYS[1] .. ':due'), redis.call('ZCARD', KEYS[1] .. ':events'),
      redis.call('ZCARD', KEYS[1] .. ':events:${TENANT}'), tonumber(redis.call('GET', KEYS[1] .. ':bytes') or 0),
      redis.call('ZCARD', to .. 'deliveries'), redis.call('ZCARD', to .. 'attempts')}`,
};

async function weigh(harness: LedgerHarness): Promise<number[]> {
  const reply = await harness.commands.run(WEIGH, [harness.keys.key(0, "ledger")], []);
  assert.ok(Array.isArray(reply));
  return reply.map(Number);
}

const idsKept = async (ledger: RedisLedger) =>
  (await ledger.events({ tenant: TENANT }, 1000, null)).rows.map(({ envelope }) => envelope.id);

test("redis ledger: past the events of a tenant its oldest goes, whole, and no other tenant's", async () => {
  await using harness = await opener({ bounds: { eventsPerTenantMax: 3 } })();
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
  await using harness = await opener({ bounds: { bytesPerShardMax: 40_000 } })();
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
  assert.ok(((await weigh(harness))[3] ?? 0) <= 40_000);
});

test("redis ledger: an endpoint's lists keep the newest only, and its older rows are found by their event", async () => {
  await using harness = await opener({ bounds: { attemptsPerEndpointMax: 2, deliveriesPerEndpointMax: 3 } })();
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
  await using harness = await opener({ bounds: { deliveriesPerEventMax: 2 } })();
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
  assert.ok(bytes !== undefined && bytes > 30 * 512);
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
  const letter = sampleLetter("dlv_a", { envelope });
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
  assert.equal(await harness.ledger.isCompleted({ ...OF_ENDPOINT, eventId: "evt_a", generation: 0 }, 0), false);
});

test("redis ledger: an operator reads the events of all shards newest first, without gap or repeat", async () => {
  await using harness = await opener({ shards: 4 })();
  const envelopes = Array.from({ length: 60 }, (_, at) =>
    sampleEnvelope(`evt_${at}`, { tenant: `tenant_${at % 7}`, acceptedAtMs: START_MS + Math.floor((at * 7) % 20) }),
  );
  assert.ok(new Set(envelopes.map(({ tenant }) => harness.keys.shardOf(tenant))).size > 1);
  await harness.ledger.remember(envelopes);
  const pages = await readAll((cursor) => harness.ledger.events({ tenant: null }, 7, cursor));
  assert.deepEqual(
    pages.map(({ length }) => length),
    [7, 7, 7, 7, 7, 7, 7, 7, 4],
  );
  const times = pages.flat().map(({ envelope }) => envelope.acceptedAtMs);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => b - a),
  );
  assert.equal(new Set(pages.flat().map(({ envelope }) => envelope.id)).size, 60);
});

test("redis ledger: a filter that few rows pass gives short pages with a cursor, and in the end all rows", async () => {
  await using harness = await open();
  const count = LOOKED_MAX * PARTS_MAX + 1000;
  const body = new Uint8Array([0x7b]);
  await harness.ledger.remember(
    Array.from({ length: count }, (_, at) =>
      sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at, type: at === 0 ? "rare.one" : "order.paid", body }),
    ),
  );
  const pages = await readAll((cursor) => harness.ledger.events({ tenant: TENANT, type: "rare.one" }, 5, cursor));
  assert.deepEqual(
    pages.map((page) => page.map(({ envelope }) => envelope.id)),
    [[], ["evt_0"]],
  );
});

test("redis ledger: it says the same as the embedded one of whatever was recorded", async () => {
  await using harness = await open();
  await using embedded = await openMemoryHarness();
  const envelopes = [0, 1, 2].map((at) => sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at }));
  await embedded.drivers.lanes.append(envelopes);
  await harness.ledger.remember(envelopes);
  const states = ["pending", "retrying", "retrying", "delivered", "dead", "paused", "backlog", "expired"] as const;
  let seed = 20_260_131;
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  for (let step = 1; step <= 400; step++) {
    const envelope = envelopes[below(3)];
    const state: DeliveryState | undefined = states[below(step % 3 === 0 ? states.length : 3)];
    assert.ok(envelope && state);
    const record = sampleRecord(envelope, {
      endpointId: `ep_${below(3)}`,
      generation: below(4) * 1000,
      state,
      attempt: below(6),
      atMs: START_MS + step,
      result: below(3) === 0 ? null : FAILED,
      reason: `step ${step}`,
    });
    for (const ledger of [harness.ledger, embedded.drivers.ledger]) ledger.record([delivery(record)]);
    const { tenant, eventId, endpointId, generation } = record;
    const key = { tenant, eventId, endpointId, generation };
    const asked = below(6);
    const answers = [harness.ledger, embedded.drivers.ledger].map((ledger) => ledger.isCompleted(key, asked));
    const [mine, theirs] = await Promise.all(answers);
    assert.equal(mine, theirs, `step ${step}`);
  }
  const sorted = (row: object) => Object.entries(row).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const order = (rows: readonly object[]) => rows.map((row) => JSON.stringify(sorted(row))).toSorted();
  for (const eventId of ["evt_0", "evt_1", "evt_2"]) {
    const filter = { tenant: TENANT, eventId };
    const [mine, theirs] = [harness.ledger, embedded.drivers.ledger];
    const deliveries = order((await mine.deliveries(filter, 1000, null)).rows);
    assert.deepEqual(deliveries, order((await theirs.deliveries(filter, 1000, null)).rows));
    const attempts = (await mine.attempts(filter, 1000, null)).rows;
    assert.deepEqual(attempts, (await theirs.attempts(filter, 1000, null)).rows);
  }
});

/** A ledger whose scripts end as `run` says, on a clock set by hand. */
function createOffline(run: () => Promise<number>, bounds: Partial<LedgerBounds> = {}) {
  const clock = createManualClock(START_MS);
  const lost: number[] = [];
  const onLost = (count: number): void => void lost.push(count);
  const ledger = createRedisLedger({ commands: { run }, keys: createKeySpace({ shards: 1 }), clock, bounds, onLost });
  return { clock, ledger, lost };
}

const away = () => Promise.reject(new PosthasteError("store-unavailable", "Redis is away."));

test("redis ledger: records wait while Redis is away for a moment", async () => {
  let failures = 3;
  const { clock, ledger, lost } = createOffline(() => (failures-- > 0 ? away() : Promise.resolve(1)));
  ledger.record([delivery(sampleRecord(sampleEnvelope("evt_a")))]);
  await clock.advance(5000);
  await ledger.flush();
  assert.deepEqual([failures, lost], [-1, []]);
});

test("redis ledger: records that Redis does not take for long, or that are too many, are lost and counted", async () => {
  const { clock, ledger, lost } = createOffline(away, { entriesWaitingMax: 3 });
  const entry = delivery(sampleRecord(sampleEnvelope("evt_a")));
  ledger.record([entry, entry]);
  ledger.record([entry, entry]);
  assert.deepEqual(lost, [2], "the second call found no place");
  await clock.advance(5000);
  await ledger.flush();
  assert.deepEqual(lost, [2, 2]);
  ledger.record([entry, entry, entry]);
  assert.deepEqual(lost, [2, 2], "there is room again");
});
