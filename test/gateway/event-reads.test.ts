/** What became of an event, as the API shows it: states, deliveries, attempts, reasons. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { DeliveryState } from "@posthaste/shared/domain/delivery.ts";
import type { DeliveryRecord, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const ANSWERED: Extract<AttemptResult, { kind: "answered" }> = {
  kind: "answered",
  status: 500,
  retryAfter: null,
  bodyExcerpt: "oops",
  isBodyCut: false,
  durationMs: 12.4,
};

async function createEndpoint(harness: GatewayHarness, eventTypes: readonly string[] = ["*"]): Promise<string> {
  const body = { url: "https://a.example/", event_types: eventTypes };
  return textAt((await harness.call("POST", "/v1/endpoints", { body })).json, "id");
}

async function publish(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const answer = await harness.call("POST", "/v1/events", { body: { type: "order.paid", data: { n: 1 }, ...parts } });
  return textAt(answer.json, "id");
}

function fanOut(eventId: string, matched: readonly string[], filtered: readonly string[] = []): LedgerEntry {
  const counts = { matchedCount: matched.length, filteredCount: filtered.length };
  return { kind: "fan-out", fanOut: { tenant: "default", eventId, atMs: START_MS, matched, filtered, ...counts } };
}

function delivery(
  eventId: string,
  endpointId: string,
  state: DeliveryState,
  parts: Partial<DeliveryRecord> = {},
): LedgerEntry {
  const key = { tenant: "default", eventId, endpointId, generation: parts.generation ?? 0 };
  return {
    kind: "delivery",
    delivery: {
      ...key,
      eventType: "order.paid",
      atMs: START_MS + 20,
      state,
      attempt: 1,
      result: state === "delivered" ? { ...ANSWERED, status: 204 } : ANSWERED,
      groupId: null,
      nextAttemptAtMs: null,
      reason: state === "delivered" ? null : "answered 500",
      ...parts,
    },
  };
}

test("pending before fan-out: the endpoints that subscribe; those that do not only on request, with the reason", async () => {
  await using harness = await openGatewayHarness();
  const one = await createEndpoint(harness);
  const two = await createEndpoint(harness, ["invoice.*"]);
  const path = `/v1/events/${await publish(harness)}`;
  const usual = await harness.call("GET", path);
  assert.deepEqual([at(usual.json, "deliveries.length"), at(usual.json, "filtered_count")], [1, 1]);
  const both = await harness.call("GET", `${path}?include=filtered,data`);
  assert.deepEqual([at(both.json, "deliveries.length"), at(both.json, "data")], [2, { n: 1 }]);
  const shown = await harness.call("GET", `${path}?include=filtered`);
  assert.equal(at(shown.json, "data"), undefined);
  assert.equal(at(shown.json, "state"), "pending");
  assert.deepEqual(
    [at(shown.json, "deliveries.0.endpoint_id"), at(shown.json, "deliveries.0.state")],
    [one, "pending"],
  );
  assert.deepEqual(
    [at(shown.json, "deliveries.1.endpoint_id"), at(shown.json, "deliveries.1.state")],
    [two, "filtered"],
  );
  assert.equal(at(shown.json, "deliveries.1.reason"), "does not subscribe to order.paid");
  assert.equal(at(shown.json, "deliveries.0.url"), "https://a.example/");
});

test("the event's facts are shown, its data only when asked for", async () => {
  await using harness = await openGatewayHarness();
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const body = { type: "order.paid", data: { n: 1 }, priority: "LOW", id: "x-1", timestamp: "2025-01-01T00:00:00Z" };
  await harness.call("POST", "/v1/events", { body, headers: { traceparent } });
  const { json } = await harness.call("GET", "/v1/events/x-1");
  const { state: _, reason: __, deliveries: ___, filtered_count: ____, ...facts } = json as Record<string, unknown>;
  assert.deepEqual(facts, {
    id: "x-1",
    tenant: "default",
    type: "order.paid",
    priority: "LOW",
    lane: "low",
    timestamp: "2025-01-01T00:00:00.000Z",
    accepted_at: "2026-01-31T12:00:00.000Z",
    deliver_at: null,
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    body_bytes: 75,
    waiting: { for: "lane", since: "2026-01-31T12:00:00.000Z", until: null },
  });
  const shown = await harness.call("GET", "/v1/events/x-1?include=data");
  assert.deepEqual(at(shown.json, "data"), { n: 1 });
});

for (const [what, harm] of Object.entries({
  "an empty body": { body: new Uint8Array() },
  "a body of other bytes": { body: new TextEncoder().encode("x".repeat(200)) },
  "another type": { type: "x".repeat(100) },
} satisfies Readonly<Record<string, Partial<Envelope>>>)) {
  test(`an event with ${what} in the store is shown without its data, and 503 with it: no answer is half JSON`, async () => {
    await using harness = await openGatewayHarness({
      wrap: (drivers) => ({
        ...drivers,
        ledger: {
          ...drivers.ledger,
          async event(tenant, eventId) {
            const record = await drivers.ledger.event(tenant, eventId);
            return record === null ? null : { ...record, envelope: { ...record.envelope, ...harm } };
          },
        },
      }),
    });
    const id = await publish(harness);
    const shown = await harness.call("GET", `/v1/events/${id}`);
    assert.equal(shown.status, 200);
    assert.equal(at(shown.json, "timestamp"), at(shown.json, "accepted_at"), "no piece of the body for a time");
    assertProblem(await harness.call("GET", `/v1/events/${id}?include=data`), 503, "store-unavailable");
  });
}

test("filtered when no endpoint subscribes, and the reason says so", async () => {
  await using harness = await openGatewayHarness();
  const two = await createEndpoint(harness, ["invoice.*"]);
  const id = await publish(harness);
  harness.drivers.ledger.record([fanOut(id, [], [two])]);
  const { json } = await harness.call("GET", `/v1/events/${id}`);
  assert.equal(at(json, "state"), "filtered");
  assert.match(textAt(json, "reason"), /no endpoint .* order\.paid/);
});

const outcomes: readonly (readonly [readonly DeliveryState[], string])[] = [
  [["delivered", "delivered"], "delivered"],
  [["delivered", "dead"], "partial"],
  [["dead", "expired"], "dead"],
  [["delivered", "retrying"], "pending"],
  [["dead", "paused"], "pending"],
  [["delivered", "backlog"], "pending"],
  [["delivered"], "pending"],
];
for (const [states, expected] of outcomes) {
  test(`an event with deliveries ${states.join(" and ")} of two is ${expected}`, async () => {
    await using harness = await openGatewayHarness();
    const endpoints = [await createEndpoint(harness), await createEndpoint(harness)];
    const id = await publish(harness);
    const deliveries = states.map((state, index) => delivery(id, endpoints[index] ?? "", state));
    harness.drivers.ledger.record([fanOut(id, endpoints), ...deliveries]);
    const { json } = await harness.call("GET", `/v1/events/${id}`);
    assert.equal(at(json, "state"), expected);
  });
}

test("a replay that was delivered makes the event delivered, and both generations are shown", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness);
  const id = await publish(harness);
  const again = delivery(id, endpoint, "delivered", { generation: START_MS + 500 });
  harness.drivers.ledger.record([fanOut(id, [endpoint]), delivery(id, endpoint, "dead"), again]);
  const { json } = await harness.call("GET", `/v1/events/${id}`);
  assert.equal(at(json, "state"), "delivered");
  assert.equal(at(json, "deliveries.length"), 2);
  const replayed = [at(json, "deliveries.0.replayed_at"), at(json, "deliveries.1.replayed_at")];
  assert.deepEqual(
    replayed.filter((time) => time !== null),
    [new Date(START_MS + 500).toISOString()],
  );
});

test("an event that was delivered stays delivered when a later replay of it dies", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness);
  const id = await publish(harness);
  const again = delivery(id, endpoint, "dead", { generation: START_MS + 500 });
  harness.drivers.ledger.record([fanOut(id, [endpoint]), delivery(id, endpoint, "delivered"), again]);
  assert.equal(at((await harness.call("GET", `/v1/events/${id}`)).json, "state"), "delivered");
});

test("attempts are shown in order with status or fault, time and response", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness);
  const id = await publish(harness);
  const timeout: AttemptResult = { kind: "fault", fault: "timeout", detail: "no answer in 15 s", durationMs: 15_000 };
  harness.drivers.ledger.record([
    fanOut(id, [endpoint]),
    delivery(id, endpoint, "retrying", { nextAttemptAtMs: START_MS + 5000 }),
    delivery(id, endpoint, "retrying", {
      attempt: 2,
      result: timeout,
      reason: "timeout",
      nextAttemptAtMs: START_MS + 9000,
    }),
  ]);
  const { json } = await harness.call("GET", `/v1/events/${id}`);
  const one = at(json, "deliveries.0");
  assert.deepEqual([at(one, "state"), at(one, "attempt_count"), at(one, "reason")], ["retrying", 2, "timeout"]);
  assert.equal(at(one, "next_attempt_at"), new Date(START_MS + 9000).toISOString());
  assert.deepEqual(at(one, "attempts.0"), {
    attempt: 1,
    at: new Date(START_MS + 20).toISOString(),
    outcome: "retry",
    duration_ms: 12,
    status: 500,
    fault: null,
    detail: "answered 500",
    response: { excerpt: "oops", is_cut: false },
  });
  assert.deepEqual([at(one, "attempts.1.fault"), at(one, "attempts.1.detail")], ["timeout", "no answer in 15 s"]);
  const listed = await harness.call("GET", `/v1/endpoints/${endpoint}/attempts?event_id=${id}&limit=1`);
  assert.deepEqual([at(listed.json, "data.0.event_id"), at(listed.json, "data.length")], [id, 1]);
  assert.equal(typeof at(listed.json, "next_cursor"), "string");
});

test("a delivery's id is the same before and after it began", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness);
  const id = await publish(harness);
  const before = await harness.call("GET", `/v1/events/${id}`);
  harness.drivers.ledger.record([fanOut(id, [endpoint]), delivery(id, endpoint, "delivered")]);
  const after = await harness.call("GET", `/v1/events/${id}`);
  assert.equal(at(after.json, "deliveries.0.id"), at(before.json, "deliveries.0.id"));
});

test("an event planned for later says when", async () => {
  await using harness = await openGatewayHarness();
  await createEndpoint(harness);
  const id = await publish(harness, { deliver_at: "2026-02-01T00:00:00Z" });
  const { json } = await harness.call("GET", `/v1/events/${id}`);
  assert.deepEqual([at(json, "state"), at(json, "deliver_at")], ["pending", "2026-02-01T00:00:00.000Z"]);
  assert.match(textAt(json, "reason"), /2026-02-01T00:00:00\.000Z/);
  assert.equal(at(json, "deliveries.0.next_attempt_at"), "2026-02-01T00:00:00.000Z");
});

test("events are listed newest first, by type and time, page by page", async () => {
  await using harness = await openGatewayHarness();
  const ids: string[] = [];
  for (const type of ["a", "b", "a", "b"]) {
    ids.push(await publish(harness, { type }));
    await harness.clock.advance(1000);
  }
  const list = async (query: string): Promise<unknown> => (await harness.call("GET", `/v1/events${query}`)).json;
  const page = await list("?limit=3");
  assert.deepEqual(
    [0, 1, 2].map((index) => at(page, `data.${index}.id`)),
    ids.toReversed().slice(0, 3),
  );
  const rest = await list(`?limit=3&cursor=${textAt(page, "next_cursor")}`);
  assert.deepEqual([at(rest, "data.0.id"), at(rest, "data.length"), at(rest, "next_cursor")], [ids[0], 1, null]);
  assert.equal(at(await list("?type=b"), "data.length"), 2);
  assert.equal(at(await list("?since=2026-01-31T12:00:01Z&until=2026-01-31T13:00:03%2B01:00"), "data.length"), 2);
});

test("404 for events that are not there, whatever their ids look like", async () => {
  await using harness = await openGatewayHarness();
  for (const id of ["none", "a.b", "%00", "..", "%2e%2e%2f", "x".repeat(300), "%E0%A4%A", "__proto__"]) {
    assertProblem(await harness.call("GET", `/v1/events/${id}`), 404, "not-found");
  }
});

test("stats of an endpoint count its attempts", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness);
  const entry = {
    kind: "attempt",
    tenant: "default",
    endpointId: endpoint,
    lane: "low",
    durationMs: 10,
    sinceDueMs: [10],
    seen: { inFlight: 1, inFlightMax: 4, breaker: "open" },
    atMs: START_MS,
  } as const;
  harness.drivers.stats.add([
    { ...entry, outcome: "delivered" },
    { ...entry, outcome: "retry", durationMs: 21 },
  ]);
  await harness.drivers.flush();
  const { json } = await harness.call("GET", `/v1/endpoints/${endpoint}/stats`);
  assert.deepEqual(json, {
    attempts: 2,
    delivered: 1,
    retried: 1,
    dead: 0,
    duration_ms_mean: 16,
    last_attempt_at: new Date(START_MS).toISOString(),
    last_seen: { in_flight: 1, in_flight_max: 4, breaker: "open" },
  });
});
