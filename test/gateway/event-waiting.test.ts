/** What an event and its deliveries wait for, since when, and where their time went, as `GET /v1/events/:id` shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

async function open() {
  const harness = await openGatewayHarness();
  const endpoint = async (): Promise<string> =>
    textAt((await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } })).json, "id");
  return { harness, endpoints: [await endpoint(), await endpoint()] as const };
}

async function publish(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const answer = await harness.call("POST", "/v1/events", { body: { type: "order.paid", data: 1, ...parts } });
  return textAt(answer.json, "id");
}

function record(harness: GatewayHarness, eventId: string, endpointId: string, parts: Partial<DeliveryRecord>): void {
  const key = { tenant: "default", eventId, endpointId, generation: 0, eventType: "order.paid" };
  const rest = { attempt: 0, result: null, groupId: null, nextAttemptAtMs: null, reason: null } as const;
  const delivery = { ...key, ...rest, atMs: START_MS + 1000, state: "pending" as const, ...parts };
  harness.drivers.ledger.record([{ kind: "delivery", delivery }]);
}

const time = (ms: number): string => new Date(START_MS + ms).toISOString();

async function shown(harness: GatewayHarness, id: string): Promise<unknown> {
  return (await harness.call("GET", `/v1/events/${id}`)).json;
}

test("before anything is recorded it waits in its lane since it was accepted, or for its deliver_at", async () => {
  const { harness } = await open();
  await using _ = harness;
  const inLane = { for: "lane", since: time(0), until: null };
  const now = await shown(harness, await publish(harness));
  assert.deepEqual([at(now, "waiting"), at(now, "deliveries.0.waiting")], [inLane, inLane]);
  assert.equal(at(now, "deliveries.0.times"), null);
  const id = await publish(harness, { deliver_at: time(60_000) });
  const later = { for: "deliver-at", since: time(0), until: time(60_000) };
  assert.deepEqual(at(await shown(harness, id), "waiting"), later);
  await harness.clock.advance(61_000);
  assert.deepEqual(at(await shown(harness, id), "waiting"), { for: "lane", since: time(60_000), until: null });
});

test("a delivery says what it waits for since its last news; the event what waits longest", async () => {
  const { harness, endpoints } = await open();
  await using _ = harness;
  const [one, two] = endpoints;
  const id = await publish(harness);
  const leg = { sinceMs: START_MS, takenAtMs: START_MS + 400, limiterMs: 600 };
  const breaker = { nextAttemptAtMs: START_MS + 11_000, leg: { ...leg, wait: "breaker-open" as const } };
  record(harness, id, one, { ...breaker, atMs: START_MS + 2000, reason: "waits" });
  record(harness, id, two, { state: "paused", reason: "the endpoint is paused", leg: { ...leg, wait: null } });
  const json = await shown(harness, id);
  const deferred = { for: "breaker-open", since: time(2000), until: time(11_000) };
  const held = { for: "paused", since: time(1000), until: null };
  const byId = new Map(
    [0, 1].map((nth) => [at(json, `deliveries.${nth}.endpoint_id`), at(json, `deliveries.${nth}.waiting`)]),
  );
  assert.deepEqual([byId.get(one), byId.get(two)], [deferred, held]);
  assert.deepEqual(at(json, "waiting"), held);
  const times = { lane_ms: 400, limiter_ms: 600, deferred_ms: 0, retry_ms: 0, attempts_ms: 0 };
  assert.deepEqual([at(json, "deliveries.0.times"), at(json, "deliveries.1.times")], [times, times]);
});

test("times have the attempts' own; nothing is waited for once it is delivered", async () => {
  const { harness, endpoints } = await open();
  await using _ = harness;
  const id = await publish(harness);
  const answer = { kind: "answered", retryAfter: null, bodyExcerpt: "", isBodyCut: false } as const;
  const leg = { sinceMs: START_MS, takenAtMs: START_MS, limiterMs: 0, wait: "retry" } as const;
  for (const endpoint of endpoints) {
    record(harness, id, endpoint, {
      state: "retrying",
      attempt: 1,
      result: { ...answer, status: 500, durationMs: 700.4 },
      nextAttemptAtMs: START_MS + 5000,
      leg,
    });
    record(harness, id, endpoint, {
      state: "delivered",
      attempt: 2,
      atMs: START_MS + 5100,
      result: { ...answer, status: 200, durationMs: 90.4 },
      leg: { ...leg, takenAtMs: START_MS + 5000, wait: null },
    });
  }
  const json = await shown(harness, id);
  assert.deepEqual([at(json, "state"), at(json, "waiting")], ["delivered", null]);
  assert.equal(at(json, "deliveries.0.waiting"), null);
  const times = { lane_ms: 0, limiter_ms: 0, deferred_ms: 0, retry_ms: 4000, attempts_ms: 791 };
  assert.deepEqual(at(json, "deliveries.0.times"), times);
});

test("what an earlier release recorded has no code and no times", async () => {
  const { harness, endpoints } = await open();
  await using _ = harness;
  const id = await publish(harness);
  record(harness, id, endpoints[0], { state: "retrying", attempt: 1, nextAttemptAtMs: START_MS + 5000 });
  const json = await shown(harness, id);
  const index = at(json, "deliveries.0.endpoint_id") === endpoints[0] ? 0 : 1;
  assert.equal(at(json, `deliveries.${index}.times`), null);
  assert.deepEqual(at(json, `deliveries.${index}.waiting`), { for: "retry", since: time(1000), until: time(5000) });
});
