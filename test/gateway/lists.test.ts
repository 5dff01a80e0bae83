/** Lists that can be asked: events by state and endpoint, attempts by outcome and result, endpoints by status. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliveryState } from "@posthaste/shared/domain/delivery.ts";
import type { LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

async function createEndpoint(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const body = { url: "https://a.example/", ...parts };
  return textAt((await harness.call("POST", "/v1/endpoints", { body })).json, "id");
}

async function publish(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const body = { type: "order.paid", data: 1, ...parts };
  return textAt((await harness.call("POST", "/v1/events", { body })).json, "id");
}

function attempted(eventId: string, endpointId: string, state: DeliveryState, status: number): LedgerEntry {
  const result = {
    kind: "answered",
    status,
    retryAfter: null,
    bodyExcerpt: "",
    isBodyCut: false,
    durationMs: 1,
  } as const;
  return {
    kind: "delivery",
    delivery: {
      tenant: "default",
      eventId,
      endpointId,
      generation: 0,
      eventType: "order.paid",
      atMs: START_MS + 20,
      state,
      attempt: 1,
      result,
      groupId: null,
      nextAttemptAtMs: null,
      reason: null,
    },
  };
}

async function rowsOf(harness: GatewayHarness, path: string, member: string): Promise<readonly unknown[]> {
  const { status, json, text } = await harness.call("GET", path);
  assert.equal(status, 200, text);
  const rows = at(json, "data") as readonly Record<string, unknown>[];
  return rows.map((row) => row[member]);
}

async function openWithThree() {
  const harness = await openGatewayHarness();
  const [one, two] = [await createEndpoint(harness), await createEndpoint(harness)];
  const [good, bad, waiting] = [await publish(harness), await publish(harness), await publish(harness)];
  harness.drivers.ledger.record([attempted(good, one, "delivered", 204), attempted(bad, two, "dead", 500)]);
  return { harness, one, two, good, bad, waiting };
}

test("events carry their state in each row, the state that the event alone shows", async () => {
  const { harness } = await openWithThree();
  await using _ = harness;
  const list = await harness.call("GET", "/v1/events");
  const rows = at(list.json, "data") as readonly { id: string; state: string }[];
  assert.deepEqual(rows.map(({ state }) => state).toSorted(), ["dead", "delivered", "pending"]);
  for (const { id, state } of rows) {
    assert.equal(at((await harness.call("GET", `/v1/events/${id}`)).json, "state"), state);
  }
});

test("events by state, by endpoint, and by both with the filters there are", async () => {
  const { harness, one, two, good, bad, waiting } = await openWithThree();
  await using _ = harness;
  const ids = (query: string) => rowsOf(harness, `/v1/events?${query}`, "id");
  assert.deepEqual(await ids("state=pending"), [waiting]);
  assert.deepEqual(await ids("state=dead"), [bad]);
  assert.deepEqual(await ids("state=partial"), []);
  assert.deepEqual(await ids(`endpoint_id=${one}`), [good]);
  assert.deepEqual(await ids(`endpoint_id=${two}&state=dead&type=order.paid`), [bad]);
  assert.deepEqual(await ids(`endpoint_id=${two}&state=delivered`), []);
  assert.deepEqual(await ids("state=dead&tenant=*"), [bad]);
  assert.deepEqual(await ids(`endpoint_id=${one}&tenant=acme`), []);
});

test("an endpoint's attempts by outcome and by result, the outcome in each row", async () => {
  const { harness, one, two, good, bad } = await openWithThree();
  await using _ = harness;
  const ids = (endpoint: string, query: string) =>
    rowsOf(harness, `/v1/endpoints/${endpoint}/attempts?${query}`, "event_id");
  assert.deepEqual(await ids(one, "outcome=delivered"), [good]);
  assert.deepEqual(await ids(one, "outcome=failed"), []);
  assert.deepEqual(await ids(two, "outcome=failed&result=5xx"), [bad]);
  assert.deepEqual(await ids(two, `outcome=dead&event_id=${bad}`), [bad]);
  assert.deepEqual(await ids(two, "outcome=retry"), []);
  assert.deepEqual(await ids(two, "result=timeout"), []);
  assert.deepEqual(await rowsOf(harness, `/v1/endpoints/${two}/attempts`, "outcome"), ["dead"]);
  assert.equal(at((await harness.call("GET", `/v1/events/${bad}`)).json, "deliveries.0.attempts.0.outcome"), "dead");
});

test("endpoints by status, as they stand now", async () => {
  await using harness = await openGatewayHarness();
  const one = await createEndpoint(harness);
  const two = await createEndpoint(harness, { paused: true });
  const ids = (status: string) => rowsOf(harness, `/v1/endpoints?status=${status}`, "id");
  assert.deepEqual([await ids("active"), await ids("paused"), await ids("disabled")], [[one], [two], []]);
  await harness.call("PATCH", `/v1/endpoints/${one}`, { body: { paused: true } });
  assert.deepEqual([await ids("active"), await ids("paused")], [[], [one, two]]);
});

const refused: readonly (readonly [path: string, parameter: string, words: RegExp])[] = [
  ["/v1/events?state=failed", "state", /pending, delivered, partial, dead, filtered/],
  ["/v1/events?endpoint_id=ep_1", "endpoint_id", /an endpoint's id/],
  ["/v1/events/x?include=all", "include", /data, filtered/],
  ["/v1/events/x?include=data,", "include", /data, filtered/],
  ["/v1/endpoints?status=off", "status", /active, paused, disabled/],
  ["/v1/endpoints/EP/attempts?outcome=ok", "outcome", /delivered, retry, dead, failed/],
  ["/v1/endpoints/EP/attempts?result=404", "result", /4xx, 5xx, timeout/],
];
for (const [path, parameter, words] of refused) {
  test(`GET ${path} is refused by name, with what may stand there`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("GET", path.replace("EP", await createEndpoint(harness)));
    assertProblem(answer, 400, "invalid-query");
    assert.equal(at(answer.json, "errors.0.parameter"), parameter);
    assert.match(textAt(answer.json, "errors.0.detail"), words);
  });
}

test("an endpoint's events are asked for with one tenant, not with all", async () => {
  await using harness = await openGatewayHarness();
  const path = `/v1/events?tenant=*&endpoint_id=${await createEndpoint(harness)}`;
  assertProblem(await harness.call("GET", path), 400, "invalid-query");
});
