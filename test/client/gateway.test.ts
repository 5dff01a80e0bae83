/** Every call of the client against the real gateway on the embedded drivers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, ProblemError, rowsOf } from "@posthaste/client/public.ts";
import type { Client, ClientOptions } from "@posthaste/client/public.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";

function clientOf({ gateway, clock, operatorKey }: GatewayHarness, options: Partial<ClientOptions> = {}): Client {
  const fetch = (url: string, init: RequestInit): Promise<Response> => gateway.fetch(new Request(url, init));
  return createClient({ url: "http://localhost", apiKey: operatorKey, fetch, clock, ...options });
}

async function refusalOf(call: Promise<unknown>): Promise<ProblemError> {
  const error: unknown = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ProblemError, String(error));
  return error;
}

test("publish: the event is in its lane, and the same key again is the same answer", async () => {
  await using harness = await openGatewayHarness();
  const client = clientOf(harness);
  const event = { type: "invoice.paid", data: { total: 12.5 }, priority: "HIGH", id: "inv-1" } as const;
  const first = await client.publish(event, { idempotencyKey: 'k"1' });
  assert.deepEqual(first, { id: "inv-1", lane: "high", status_url: first.status_url, isReplayed: false });
  assert.deepEqual(await client.publish(event, { idempotencyKey: 'k"1' }), { ...first, isReplayed: true });
  const [envelope, ...others] = await harness.takeLane("high");
  assert.deepEqual([envelope?.id, others.length], ["inv-1", 0]);
});

test("publish: a refusal is a problem with each place", async () => {
  await using harness = await openGatewayHarness();
  const error = await refusalOf(clientOf(harness).publish({ type: "not a type", data: null }));
  assert.deepEqual([error.status, error.code, error.errors[0]?.pointer], [422, "validation-failed", "#/type"]);
  assert.match(error.traceId ?? "", /^[0-9a-f]{32}$/);
});

test("publish: a traceparent is carried along, and a Date is a time", async () => {
  await using harness = await openGatewayHarness();
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const event = { type: "a", data: null, timestamp: new Date(0) };
  const { id } = await clientOf(harness).publish(event, { traceparent });
  const shown = await clientOf(harness).events.get(id);
  assert.deepEqual([shown.trace_id, shown.timestamp], [traceparent.slice(3, 35), "1970-01-01T00:00:00.000Z"]);
});

test("publishBatch: one result for each event, whatever the others are", async () => {
  await using harness = await openGatewayHarness();
  const events = [
    { type: "a", data: 1 },
    { type: "b!", data: 2 },
    { type: "c", data: 3, id: "c-1" },
  ];
  const { results, isReplayed } = await clientOf(harness).publishBatch(events);
  assert.equal(isReplayed, false);
  assert.deepEqual(
    results.map(({ status }) => status),
    [202, 422, 202],
  );
  const [first, second] = results;
  assert.ok(first !== undefined && "id" in first);
  assert.ok(second !== undefined && "problem" in second);
  assert.equal(second.problem.code, "validation-failed");
});

test("endpoints: made, shown, listed, changed, rotated, tested, removed", async () => {
  await using harness = await openGatewayHarness();
  const { endpoints } = clientOf(harness);
  const made = await endpoints.create({ url: "https://example.com/hooks", event_types: ["invoice.*"] });
  assert.match(made.secret, /^whsec_/);
  const { secret: _secret, ...shown } = made;
  assert.deepEqual(await endpoints.get(made.id), shown);
  const changed = await endpoints.update(made.id, {
    description: "billing",
    rate_limit: { limit: 5, window_ms: 1000 },
  });
  assert.deepEqual([changed.description, changed.rate_limit], ["billing", { limit: 5, window_ms: 1000 }]);
  const rotated = await endpoints.rotateSecret(made.id);
  assert.notEqual(rotated.secret, made.secret);
  assert.ok(rotated.previous_expires_at !== null);
  const tested = await endpoints.test(made.id);
  assert.equal(tested.lane, "high");
  await endpoints.update(made.id, { paused: true });
  assert.deepEqual(
    (await endpoints.list({ status: "paused" })).data.map(({ id }) => id),
    [made.id],
  );
  assert.deepEqual((await endpoints.list({ status: "active" })).data, []);
  await endpoints.delete(made.id);
  assert.equal((await refusalOf(endpoints.get(made.id))).code, "not-found");
});

test("events: listed by page, shown with data, explained, resent, cancelled", async () => {
  await using harness = await openGatewayHarness();
  const client = clientOf(harness);
  const endpoint = await client.endpoints.create({ url: "https://example.com/hooks" });
  const ids: string[] = [];
  for (const data of [1, 2, 3]) ids.push((await client.publish({ type: "a.b", data })).id);
  const later = new Date(harness.clock.now() + 3_600_000);
  const planned = await client.publish({ type: "a.c", data: null, deliver_at: later });

  const listed: string[] = [];
  const pages = rowsOf((cursor) => client.events.list({ type: "a.b", limit: 1, cursor }));
  for await (const { id } of pages) listed.push(id);
  assert.deepEqual(listed, ids.toReversed());
  assert.deepEqual((await client.events.list({ since: later })).data, []);

  const id = ids[0] ?? "";
  const shown = await client.events.get(id, { include: ["data", "filtered"] });
  assert.deepEqual([shown.data, shown.state, shown.waiting?.for], [1, "pending", "lane"]);
  assert.equal("data" in (await client.events.get(id)), false);
  const { decisions } = await client.events.why(id, endpoint.id);
  assert.deepEqual([decisions[0]?.on, decisions[0]?.code], ["event", "accepted"]);
  const resent = await client.events.resend(id, { endpoint_id: endpoint.id });
  assert.deepEqual([resent.deliveries[0]?.endpoint_id, resent.skipped], [endpoint.id, []]);

  assert.equal((await client.events.cancel(planned.id)).state, "cancelled");
  assert.equal((await refusalOf(client.events.cancel(id))).code, "conflict");
});

test("dead letters: listed, shown, replayed singly and by filter, deleted", async () => {
  await using harness = await openGatewayHarness();
  const { deadLetters, endpoints } = clientOf(harness);
  const { id: endpointId } = await endpoints.create({ url: "https://example.com/hooks" });
  const [first, second, third] = [
    await harness.addDeadLetter({ endpointId }),
    await harness.addDeadLetter({ endpointId }),
    await harness.addDeadLetter({ endpointId }),
  ];
  const { data } = await deadLetters.list({ endpoint_id: endpointId, state: "dead" });
  assert.equal(data.length, 3);
  const shown = await deadLetters.get(first.id);
  assert.deepEqual([shown.event_id, shown.event_type], [first.eventId, "order.paid"]);
  assert.ok("data" in shown);
  assert.equal((await deadLetters.replay(first.id)).event_id, first.eventId);
  await deadLetters.delete(second.id);
  const counted = await deadLetters.replayAll({ endpoint_id: endpointId, dry_run: true });
  assert.deepEqual([counted.matched, counted.replayed, counted.has_more], [1, 0, false]);
  assert.equal((await deadLetters.replayAll({ event_id: third.eventId })).replayed, 1);
  assert.deepEqual((await deadLetters.list()).data, []);
});

test("a tenant is named by the client or by the call, and a key of another one is refused", async () => {
  await using harness = await openGatewayHarness();
  const client = clientOf(harness, { tenant: "acme" });
  const { id } = await client.publish({ type: "a", data: null });
  assert.equal((await client.events.get(id)).tenant, "acme");
  assert.equal((await refusalOf(client.events.get(id, { tenant: "beta" }))).code, "not-found");
  const apiKey = await harness.createKey({ tenant: "beta", scopes: ["read"] });
  assert.equal((await refusalOf(clientOf(harness, { apiKey, tenant: "acme" }).events.list())).code, "wrong-tenant");
  assert.equal((await refusalOf(clientOf(harness, { apiKey }).publish({ type: "a", data: 1 }))).code, "missing-scope");
  assert.equal((await refusalOf(clientOf(harness, { apiKey: "phk_none" }).events.list())).code, "unauthenticated");
});

test("a rate limit is waited for as the gateway asks", async () => {
  await using harness = await openGatewayHarness();
  const { clock } = harness;
  const apiKey = await harness.createKey({
    tenant: "acme",
    rateLimit: { limit: 1, windowMs: 3000, failureMode: "local" },
  });
  const client = clientOf(harness, { apiKey });
  await client.publish({ type: "a", data: 1 });
  const begunMs = clock.monotonic();
  let endedMs = 0;
  const publishSecond = async (): Promise<void> => {
    await client.publish({ type: "a", data: 2 });
    endedMs = clock.monotonic();
  };
  const second = publishSecond();
  await clock.advance(2999);
  assert.equal(endedMs, 0);
  await clock.advance(1);
  await second;
  assert.equal(endedMs - begunMs, 3000);
});
