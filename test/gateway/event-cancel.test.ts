/** `POST /v1/events/:id/cancel`: before its time, once and for all; what it shows then, and what it refuses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const HOUR_MS = 3600_000;
const DUE = new Date(START_MS + HOUR_MS).toISOString();

async function publish(harness: GatewayHarness, parts: object = { deliver_at: DUE }): Promise<string> {
  const body = { type: "order.paid", data: 1, ...parts };
  return textAt((await harness.call("POST", "/v1/events", { body })).json, "id");
}

const cancel = (harness: GatewayHarness, id: string, body?: object) =>
  harness.call("POST", `/v1/events/${id}/cancel`, body === undefined ? {} : { body });

test("an event is cancelled before its time, and shows it at once, alone and in the list", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } });
  const id = await publish(harness);
  const other = await publish(harness);
  const answer = await cancel(harness, id);
  assert.deepEqual([answer.status, answer.json], [200, { id, state: "cancelled", deliver_at: DUE }]);
  const shown = (await harness.call("GET", `/v1/events/${id}`)).json;
  assert.deepEqual([at(shown, "state"), at(shown, "deliveries"), at(shown, "deliver_at")], ["cancelled", [], DUE]);
  assert.match(textAt(shown, "reason"), /cancelled before its time/);
  const ids = async (state: string) => {
    const { json } = await harness.call("GET", `/v1/events?state=${state}`);
    return (at(json, "data") as readonly { id: string }[]).map((row) => row.id);
  };
  assert.deepEqual([await ids("cancelled"), await ids("pending")], [[id], [other]]);
});

test("cancelled twice is cancelled; with an empty object as body too", async () => {
  await using harness = await openGatewayHarness();
  const id = await publish(harness);
  const first = await cancel(harness, id);
  const second = await cancel(harness, id, {});
  assert.deepEqual([second.status, second.text], [200, first.text]);
  await harness.clock.advance(HOUR_MS + 1);
  assert.equal((await cancel(harness, id)).status, 200);
});

test("at its time it is too late: 409 that says when it was due", async () => {
  await using harness = await openGatewayHarness();
  const id = await publish(harness);
  await harness.clock.advance(HOUR_MS);
  const late = await cancel(harness, id);
  assertProblem(late, 409, "conflict");
  assert.match(textAt(late.json, "detail"), /Too late: the event was due at 2026-01-31T13:00:00\.000Z/);
  assert.equal(at((await harness.call("GET", `/v1/events/${id}`)).json, "state"), "pending");
});

test("what has begun before its time, as its queue was full, is too late as well", async () => {
  await using harness = await openGatewayHarness();
  const id = await publish(harness);
  const event = { tenant: "default", id, acceptedAtMs: START_MS, deliverAtMs: START_MS + HOUR_MS };
  await harness.drivers.cancellations.begin(event);
  assertProblem(await cancel(harness, id), 409, "conflict");
});

test("an event without deliver_at, or with one in the past, cannot be called back", async () => {
  await using harness = await openGatewayHarness();
  for (const parts of [{}, { deliver_at: "2020-01-01T00:00:00Z" }]) {
    const answer = await cancel(harness, await publish(harness, parts));
    assertProblem(answer, 409, "conflict");
    assert.match(textAt(answer.json, "detail"), /has no deliver_at/);
  }
});

test("404 for what is not there, 422 for a body that says something", async () => {
  await using harness = await openGatewayHarness();
  assertProblem(await cancel(harness, "never"), 404, "not-found");
  assertProblem(await cancel(harness, await publish(harness), { reason: "x" }), 422, "validation-failed");
});

test("a publisher's key is enough, a reader's is not", async () => {
  await using harness = await openGatewayHarness();
  const [publisher, reader] = [
    await harness.createKey({ scopes: ["publish"] }),
    await harness.createKey({ scopes: ["read"] }),
  ];
  const path = `/v1/events/${await publish(harness)}/cancel`;
  assertProblem(await harness.call("POST", path, { key: reader }), 403, "missing-scope");
  assert.equal((await harness.call("POST", path, { key: publisher })).status, 200);
});

test("what was cancelled is not sent again either", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } });
  const id = await publish(harness);
  await cancel(harness, id);
  for (const waitMs of [0, HOUR_MS]) {
    await harness.clock.advance(waitMs);
    const answer = await harness.call("POST", `/v1/events/${id}/resend`);
    assertProblem(answer, 409, "conflict");
    assert.match(textAt(answer.json, "detail"), /cancelled/);
  }
});

test("a store that cannot decide is 503, and nothing is said to be cancelled", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      cancellations: { ...drivers.cancellations, cancel: () => Promise.reject(new Error("disk")) },
    }),
  });
  const id = await publish(harness);
  assert.ok((await cancel(harness, id)).status >= 500);
  assert.equal(at((await harness.call("GET", `/v1/events/${id}`)).json, "state"), "pending");
});
