/** `POST /v1/events/:id/resend`: whom it goes to, what it refuses with which remedy, and that twice with one key is once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GatewayHarness, Wish } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const HOUR_MS = 3600_000;

async function createEndpoint(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const body = { url: "https://a.example/", event_types: ["order.*"], ...parts };
  return textAt((await harness.call("POST", "/v1/endpoints", { body })).json, "id");
}

async function publish(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const body = { type: "order.paid", data: { n: 1 }, ...parts };
  return textAt((await harness.call("POST", "/v1/events", { body })).json, "id");
}

const resend = (harness: GatewayHarness, id: string, body: object = {}, headers: Wish["headers"] = {}) =>
  harness.call("POST", `/v1/events/${id}/resend`, { body, headers });

test("it goes to all active endpoints that subscribe now, each as a delivery of its own with attempts from 1", async () => {
  await using harness = await openGatewayHarness();
  const one = await createEndpoint(harness);
  await createEndpoint(harness, { event_types: ["invoice.*"] });
  const id = await publish(harness);
  const paused = await createEndpoint(harness, { paused: true });
  const late = await createEndpoint(harness);
  await harness.clock.advance(1000);
  const answer = await resend(harness, id);
  assert.equal(answer.status, 202, answer.text);
  assert.deepEqual(at(answer.json, "skipped"), [{ endpoint_id: paused, reason: "the endpoint is paused" }]);
  await harness.clock.advance(1000);
  const planned = await harness.takeDue();
  assert.deepEqual(
    planned.map(({ endpointId, attempt, generation, cause }) => [endpointId, attempt, generation, cause]),
    [one, late].map((endpointId) => [endpointId, 1, START_MS + 1000, "replay"]),
  );
  assert.deepEqual(
    planned.flatMap(({ members }) => members.map((member) => member.id)),
    [id, id],
  );
  const shown = (await harness.call("GET", `/v1/events/${id}`)).json;
  const ids = (at(shown, "deliveries") as readonly { id: string }[]).map((delivery) => delivery.id);
  const given = (at(answer.json, "deliveries") as readonly { delivery_id: string }[]).map((each) => each.delivery_id);
  assert.deepEqual(ids.filter((each) => given.includes(each)).toSorted(), given.toSorted());
  assert.equal(at(shown, "state"), "pending");
});

test("to one endpoint alone, when it is named; without a body to all", async () => {
  await using harness = await openGatewayHarness();
  const [one] = [await createEndpoint(harness), await createEndpoint(harness)];
  const id = await publish(harness);
  const answer = await resend(harness, id, { endpoint_id: one });
  assert.deepEqual([at(answer.json, "deliveries.length"), at(answer.json, "deliveries.0.endpoint_id")], [1, one]);
  const bare = await harness.call("POST", `/v1/events/${id}/resend`);
  assert.deepEqual([bare.status, at(bare.json, "deliveries.length")], [202, 2]);
});

test("the same Idempotency-Key sends once and gets the same answer; another body under it is refused", async () => {
  await using harness = await openGatewayHarness();
  const one = await createEndpoint(harness);
  const id = await publish(harness);
  const key = { "idempotency-key": "again" };
  const first = await resend(harness, id, {}, key);
  await harness.clock.advance(10);
  const second = await resend(harness, id, {}, key);
  assert.deepEqual([second.status, second.text], [202, first.text]);
  assert.equal(second.headers.get("idempotent-replayed"), "true");
  assert.equal((await harness.takeDue()).length, 1);
  assertProblem(await resend(harness, id, { endpoint_id: one }, key), 422, "idempotency-mismatch");
  const other = await resend(harness, await publish(harness), {}, key);
  assertProblem(other, 422, "idempotency-mismatch");
});

test("a key whose request was refused may be used again once the cause is mended", async () => {
  await using harness = await openGatewayHarness();
  const id = await publish(harness);
  const key = { "idempotency-key": "again" };
  assertProblem(await resend(harness, id, {}, key), 409, "conflict");
  await createEndpoint(harness);
  assert.equal((await resend(harness, id, {}, key)).status, 202);
});

test("what was planned before a crash keeps its deliveries when the request is repeated under its key", async () => {
  let fails = true;
  const planning = Promise.withResolvers<void>();
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      claims: {
        ...drivers.claims,
        // The process dies between the plan and the answer: nothing completes or gives up the claim.
        complete: (...given) => {
          planning.resolve();
          return fails ? new Promise(() => undefined) : drivers.claims.complete(...given);
        },
      },
    }),
  });
  await createEndpoint(harness);
  const id = await publish(harness);
  const key = { "idempotency-key": "again" };
  void resend(harness, id, {}, key);
  await planning.promise;
  const planned = await harness.takeDue();
  fails = false;
  await harness.clock.advance(60_000);
  const repeated = await resend(harness, id, {}, key);
  assert.equal(repeated.status, 202, repeated.text);
  const again = await harness.takeDue();
  assert.deepEqual(
    again.map(({ generation, endpointId }) => [generation, endpointId]),
    planned.map(({ generation, endpointId }) => [generation, endpointId]),
  );
});

test("refused with the remedy: no endpoint, none active, one that is named and cannot take it", async () => {
  await using harness = await openGatewayHarness();
  const id = await publish(harness);
  const none = await resend(harness, id);
  assertProblem(none, 409, "conflict");
  assert.match(textAt(none.json, "detail"), /No endpoint .* subscribes to order\.paid; create one/);
  const paused = await createEndpoint(harness, { paused: true });
  const held = await resend(harness, id);
  assertProblem(held, 409, "conflict");
  assert.match(textAt(held.json, "detail"), /paused or disabled/);
  const named = await resend(harness, id, { endpoint_id: paused });
  assertProblem(named, 409, "conflict");
  assert.match(textAt(named.json, "detail"), /paused.*\{"paused":false\}/);
  const other = await createEndpoint(harness, { event_types: ["invoice.*"] });
  const unsubscribed = await resend(harness, id, { endpoint_id: other });
  assertProblem(unsubscribed, 409, "conflict");
  assert.match(textAt(unsubscribed.json, "detail"), /does not subscribe to order\.paid; PATCH its event_types/);
  await harness.call("DELETE", `/v1/endpoints/${other}`);
  const deleted = await resend(harness, id, { endpoint_id: other });
  assertProblem(deleted, 422, "validation-failed");
  assert.equal(at(deleted.json, "errors.0.pointer"), "#/endpoint_id");
  assertProblem(await resend(harness, id, { endpoints: [] }), 422, "validation-failed");
  assert.equal((await harness.drivers.retryQueue.depth()).count, 0);
});

test("an event whose content is no longer kept is 410 with the remedy; one that was never there is 404", async () => {
  await using harness = await openGatewayHarness();
  await createEndpoint(harness);
  const id = await publish(harness);
  const own = await publish(harness, { id: "order-1" });
  await harness.takeLane("medium");
  await harness.clock.advance(50 * HOUR_MS);
  const gone = await resend(harness, id);
  assertProblem(gone, 410, "gone");
  assert.match(textAt(gone.json, "detail"), /dead-letters\/replay with \{"event_id":"evt_.*publish it again/);
  assertProblem(await resend(harness, own), 404, "not-found");
  assertProblem(await resend(harness, "never"), 404, "not-found");
  assertProblem(await resend(harness, "a.b"), 404, "not-found");
});

test("an event that waits for its deliver_at is 409 until then", async () => {
  await using harness = await openGatewayHarness();
  await createEndpoint(harness);
  const id = await publish(harness, { deliver_at: new Date(START_MS + HOUR_MS).toISOString() });
  const early = await resend(harness, id);
  assertProblem(early, 409, "conflict");
  assert.match(textAt(early.json, "detail"), /to be delivered at 2026-01-31T13:00:00/);
  await harness.clock.advance(HOUR_MS);
  assert.equal((await resend(harness, id)).status, 202);
});

test("a full retry queue is 503, and nothing is claimed to be sent", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: { ...drivers.retryQueue, schedule: async () => ({ kind: "full", retryAfterS: 7 }) },
    }),
  });
  await createEndpoint(harness);
  const id = await publish(harness);
  const answer = await resend(harness, id);
  assertProblem(answer, 503, "overloaded");
  assert.equal(answer.headers.get("retry-after"), "7");
  assert.equal(at((await harness.call("GET", `/v1/events/${id}`)).json, "deliveries.0.replayed_at"), null);
});
