/** What every implementation of the port `stats` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { STATS_KEPT_MS, STAT_TYPES_MAX } from "@posthaste/shared/ports/stats.ts";
import type { OpenHarness } from "./harness.ts";
import { ENDPOINT_ID, START_MS, TENANT } from "../support/samples.ts";

const HOUR_MS = 3600_000;

function accepted(type: string, atMs = START_MS, tenant = TENANT): StatEntry {
  return { kind: "accepted", tenant, type, lane: "medium", atMs };
}

function attempt(outcome: "delivered" | "retry" | "dead", durationMs: number, atMs = START_MS): StatEntry {
  return { kind: "attempt", tenant: TENANT, endpointId: ENDPOINT_ID, outcome, durationMs, atMs };
}

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
    });
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
    });
  });

  test(`${name} stats: tenants and endpoints are counted apart`, async () => {
    await using harness = await open();
    harness.drivers.stats.add([accepted("order.paid"), accepted("order.paid", START_MS, "globex"), attempt("dead", 1)]);
    assert.equal((await harness.drivers.stats.tenant("globex")).totalEvents, 1);
    assert.equal((await harness.drivers.stats.endpoint("globex", ENDPOINT_ID)).attempts, 0);
    assert.equal((await harness.drivers.stats.endpoint(TENANT, "ep_other")).attempts, 0);
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
