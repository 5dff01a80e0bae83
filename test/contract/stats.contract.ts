/** What every implementation of the port `stats` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { FLOW_KEPT_MS, FLOW_MINUTES_MAX, MINUTE_MS, TOOK_BOUNDS_MS } from "@posthaste/shared/domain/lane-minutes.ts";
import type { LaneMinute } from "@posthaste/shared/domain/lane-minutes.ts";
import { STATS_KEPT_MS, STAT_TYPES_MAX } from "@posthaste/shared/ports/stats.ts";
import type { OpenHarness } from "./harness.ts";
import { ENDPOINT_ID, START_MS, TENANT } from "../support/samples.ts";

const HOUR_MS = 3600_000;

type Attempted = Extract<StatEntry, { kind: "attempt" }>;

function accepted(type: string, atMs = START_MS, tenant = TENANT): StatEntry {
  return { kind: "accepted", tenant, type, lane: "medium", atMs };
}

function attempt(outcome: "delivered" | "retry" | "dead", durationMs: number, atMs = START_MS): Attempted {
  const of = { kind: "attempt", tenant: TENANT, endpointId: ENDPOINT_ID, lane: "medium" } as const;
  return { ...of, outcome, durationMs, sinceDueMs: [durationMs], seen: null, atMs };
}

/** Of which bounds, and how many of each. */
function tookOf(...counts: readonly (readonly [boundMs: number, count: number])[]): readonly number[] {
  const took = Array.from({ length: TOOK_BOUNDS_MS.length + 1 }, () => 0);
  for (const [boundMs, count] of counts) {
    const index = (TOOK_BOUNDS_MS as readonly number[]).indexOf(boundMs);
    took[index === -1 ? TOOK_BOUNDS_MS.length : index] = count;
  }
  return took;
}

const MINUTE_0 = START_MS - (START_MS % MINUTE_MS);
const NOTHING: LaneMinute = {
  lane: "medium",
  atMs: MINUTE_0,
  accepted: 0,
  delivered: 0,
  retried: 0,
  dead: 0,
  took: tookOf(),
};

export function statsContract(name: string, open: OpenHarness): void {
  test(`${name} stats: accepted events are counted in all and by type, and read right after`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([accepted("order.paid"), accepted("order.paid"), accepted("user.left")]);
    assert.deepEqual(await harness.drivers.stats.tenant(TENANT), {
      totalEvents: 3,
      byType: { "order.paid": 2, "user.left": 1 },
    });
  });

  test(`${name} stats: attempts are counted by outcome, with their mean time and the last one's`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([attempt("retry", 10), attempt("dead", 20), attempt("delivered", 60, START_MS + 9)]);
    harness.drivers.stats.add([attempt("delivered", 30, START_MS + 5)]);
    assert.deepEqual(await harness.drivers.stats.endpoint(TENANT, ENDPOINT_ID), {
      attempts: 4,
      delivered: 2,
      retried: 1,
      dead: 1,
      durationMsMean: 30,
      lastAttemptAtMs: START_MS + 9,
      seen: null,
    });
  });

  test(`${name} stats: what the latest attempt saw of its endpoint is told, whichever was counted last`, async () => {
    await using harness = await open();
    const { stats } = harness.drivers;
    const seenOf = async () => (await stats.endpoint(TENANT, ENDPOINT_ID)).seen;
    const open4 = { inFlight: 0, inFlightMax: 4, breaker: "open" } as const;
    const closed9 = { inFlight: 3, inFlightMax: 9, breaker: "closed" } as const;
    stats.add([
      { ...attempt("retry", 1, START_MS + 5), seen: open4 },
      { ...attempt("retry", 1), seen: closed9 },
    ]);
    assert.deepEqual(await seenOf(), open4);
    stats.add([{ ...attempt("retry", 1, START_MS + 1), seen: closed9 }]);
    assert.deepEqual(await seenOf(), open4);
    await harness.drivers.flush();
    await harness.clock.advance(HOUR_MS);
    stats.add([{ ...attempt("delivered", 1, START_MS + HOUR_MS), seen: closed9 }]);
    assert.deepEqual(await seenOf(), closed9);
  });

  test(`${name} stats: what was never counted is zero and has no mean`, async () => {
    await using harness = await open();
    assert.deepEqual(await harness.drivers.stats.tenant(TENANT), { totalEvents: 0, byType: {} });
    assert.deepEqual(await harness.drivers.stats.endpoint(TENANT, ENDPOINT_ID), {
      attempts: 0,
      delivered: 0,
      retried: 0,
      dead: 0,
      durationMsMean: null,
      lastAttemptAtMs: null,
      seen: null,
    });
  });

  test(`${name} stats: tenants and endpoints are counted apart`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([accepted("order.paid"), accepted("order.paid", START_MS, "globex"), attempt("dead", 1)]);
    assert.equal((await harness.drivers.stats.tenant("globex")).totalEvents, 1);
    assert.equal((await harness.drivers.stats.endpoint("globex", ENDPOINT_ID)).attempts, 0);
    assert.equal((await harness.drivers.stats.endpoint(TENANT, "ep_other")).attempts, 0);
  });

  test(`${name} stats: lanes flow by the minute, of all tenants together, each event of an attempt counted`, async () => {
    await using harness = await open();
    const { stats } = harness.drivers;
    const group = { ...attempt("delivered", 3), lane: "low", sinceDueMs: [4, 6, 4_000_000] } as const;
    stats.add([accepted("order.paid"), accepted("order.paid", START_MS, "globex"), attempt("delivered", 30), group]);
    await harness.drivers.flush();
    stats.add([attempt("retry", 9), attempt("dead", 9), { ...attempt("delivered", 25), tenant: "globex" }]);
    stats.add([accepted("order.paid", START_MS + MINUTE_MS)]);
    assert.deepEqual(await stats.flow(), [
      { ...NOTHING, accepted: 2, delivered: 2, retried: 1, dead: 1, took: tookOf([50, 1], [25, 1]) },
      { ...NOTHING, lane: "low", delivered: 3, took: tookOf([5, 1], [10, 1], [Infinity, 1]) },
      { ...NOTHING, atMs: MINUTE_0 + MINUTE_MS, accepted: 1 },
    ]);
  });

  test(`${name} stats: the minutes of an hour are kept, and an hour of them at most`, async () => {
    await using harness = await open();
    const { stats } = harness.drivers;
    for (let minute = 0; minute < 70; minute++) {
      stats.add([accepted("order.paid", harness.clock.now()), attempt("delivered", 5, harness.clock.now())]);
      if (minute % 20 === 0) await harness.drivers.flush();
      await harness.clock.advance(MINUTE_MS);
    }
    const flow = await stats.flow();
    assert.ok(flow.length >= 60 && flow.length <= FLOW_MINUTES_MAX, `${flow.length} minutes`);
    assert.deepEqual(
      flow.map(({ accepted: count, delivered }) => [count, delivered]),
      flow.map(() => [1, 1]),
    );
    const oldestMs = harness.clock.now() - (flow[0]?.atMs ?? 0);
    assert.ok(oldestMs >= FLOW_KEPT_MS && oldestMs <= FLOW_KEPT_MS + 2 * MINUTE_MS, `${oldestMs}`);
    harness.clock.stepWall(FLOW_KEPT_MS + 2 * MINUTE_MS);
    assert.deepEqual(await stats.flow(), []);
  });

  test(`${name} stats: minutes survive a crash and are added to`, async () => {
    await using harness = await open();
    assert.deepEqual(await harness.drivers.stats.flow(), []);
    harness.drivers.stats.add([accepted("order.paid")]);
    await harness.drivers.flush();
    await harness.reopen();
    harness.drivers.stats.add([accepted("order.paid"), attempt("dead", 1)]);
    assert.deepEqual(await harness.drivers.stats.flow(), [{ ...NOTHING, accepted: 2, dead: 1 }]);
  });

  test(`${name} stats: counts add up over the hours of a day`, async () => {
    await using harness = await open();
    for (let hour = 0; hour < 20; hour++) {
      harness.drivers.stats.add([accepted("order.paid", harness.clock.now())]);
      await harness.clock.advance(HOUR_MS);
    }
    assert.equal((await harness.drivers.stats.tenant(TENANT)).totalEvents, 20);
  });

  test(`${name} stats: a count lasts for 24 h, and is gone an hour later`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([accepted("order.paid"), attempt("delivered", 5)]);
    await harness.clock.advance(STATS_KEPT_MS - 1);
    assert.equal((await harness.drivers.stats.tenant(TENANT)).totalEvents, 1);
    assert.equal((await harness.drivers.stats.endpoint(TENANT, ENDPOINT_ID)).attempts, 1);
    await harness.clock.advance(HOUR_MS + 1);
    assert.equal((await harness.drivers.stats.tenant(TENANT)).totalEvents, 0);
    assert.equal((await harness.drivers.stats.endpoint(TENANT, ENDPOINT_ID)).attempts, 0);
  });

  test(`${name} stats: old counts do not show, even when nobody has cleared them away yet`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([accepted("order.paid"), attempt("delivered", 5)]);
    await harness.drivers.flush();
    harness.clock.stepWall(STATS_KEPT_MS + HOUR_MS + 1);
    assert.equal((await harness.drivers.stats.tenant(TENANT)).totalEvents, 0);
    assert.equal((await harness.drivers.stats.endpoint(TENANT, ENDPOINT_ID)).attempts, 0);
  });

  test(`${name} stats: what was flushed survives a crash and is added to`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([accepted("order.paid"), attempt("delivered", 5)]);
    await harness.drivers.flush();
    await harness.reopen();
    harness.drivers.stats.add([accepted("order.paid"), attempt("delivered", 15)]);
    assert.equal((await harness.drivers.stats.tenant(TENANT)).totalEvents, 2);
    assert.equal((await harness.drivers.stats.endpoint(TENANT, ENDPOINT_ID)).durationMsMean, 10);
  });

  test(`${name} stats: counts reach the store by themselves within seconds`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([accepted("order.paid")]);
    await harness.clock.advance(5000);
    await harness.reopen();
    assert.equal((await harness.drivers.stats.tenant(TENANT)).totalEvents, 1);
  });

  test(`${name} stats: past the bound types are counted as other, and the total is whole`, async () => {
    await using harness = await open();
    const types = Array.from({ length: STAT_TYPES_MAX + 50 }, (_, index) => `type.${index}`);
    harness.drivers.stats.add(types.map((type) => accepted(type)));
    const { totalEvents, byType } = await harness.drivers.stats.tenant(TENANT);
    assert.deepEqual([totalEvents, byType["other"]], [STAT_TYPES_MAX + 50, 50]);
    assert.equal(Object.keys(byType).length, STAT_TYPES_MAX + 1);
    assert.equal(
      Object.values(byType).reduce((sum, count) => sum + count, 0),
      totalEvents,
    );
  });

  test(`${name} stats: the bound on types holds over several hours and a crash`, async () => {
    await using harness = await open();
    for (let hour = 0; hour < 3; hour++) {
      const types = Array.from({ length: STAT_TYPES_MAX }, (_, index) => `type.${hour}.${index}`);
      harness.drivers.stats.add(types.map((type) => accepted(type, harness.clock.now())));
      await harness.drivers.flush();
      await harness.reopen();
      harness.drivers.stats.add([accepted(`late.${hour}`, harness.clock.now())]);
      await harness.clock.advance(HOUR_MS);
    }
    const { totalEvents, byType } = await harness.drivers.stats.tenant(TENANT);
    assert.equal(totalEvents, 3 * STAT_TYPES_MAX + 3);
    assert.equal(Object.keys(byType).length, STAT_TYPES_MAX + 1);
    assert.equal(byType["late.0"], undefined);
  });
}
