/** Dead letters whose event was delivered since and that stand all the same: no replay sends them, and the story tells of both. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const PATH = "/v1/dead-letters";
const REPLAYED_AT = START_MS + 1000;
const DELIVERED_AT = START_MS + 1500;

async function createEndpoint(harness: GatewayHarness): Promise<string> {
  return textAt((await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } })).json, "id");
}

function record(
  harness: GatewayHarness,
  key: Pick<DeadLetter, "eventId" | "endpointId">,
  parts: Partial<DeliveryRecord>,
) {
  const { eventId, endpointId } = key;
  const rest = { attempt: 1, result: null, groupId: null, nextAttemptAtMs: null, reason: null } as const;
  const delivery = { tenant: "default", eventId, endpointId, generation: 0, eventType: "order.paid", ...rest };
  harness.drivers.ledger.record([
    { kind: "delivery", delivery: { ...delivery, atMs: START_MS, state: "dead" as const, ...parts } },
  ]);
}

/** A dead letter of a published event, as the ledger has it too. */
async function addDead(
  harness: GatewayHarness,
  endpointId: string,
  parts: Partial<DeadLetter> = {},
): Promise<DeadLetter> {
  const { json } = await harness.call("POST", "/v1/events", { body: { type: "order.paid", data: 1 } });
  const event = await harness.drivers.ledger.event("default", textAt(json, "id"));
  assert.ok(event !== null);
  const letter = await harness.addDeadLetter({
    endpointId,
    deadLetter: { eventId: event.envelope.id, envelope: event.envelope, ...parts },
  });
  record(harness, letter, { state: letter.state, reason: "answered 500" });
  return letter;
}

function succeed(harness: GatewayHarness, key: DeadLetter, parts: Partial<DeliveryRecord> = {}): void {
  record(harness, key, { generation: REPLAYED_AT, atMs: DELIVERED_AT, state: "delivered", ...parts });
}

test("a replay by filter skips what was delivered since, and takes it away; a dry run counts it and changes nothing", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  const [one, two] = [await addDead(harness, endpointId), await addDead(harness, endpointId)];
  succeed(harness, one);
  const dry = await harness.call("POST", `${PATH}/replay`, { body: { dry_run: true } });
  assert.deepEqual(dry.json, { matched: 2, replayed: 0, skipped: 1, dry_run: true, has_more: false });
  assert.notEqual(await harness.drivers.deadLetters.find(one.id), null);
  const done = await harness.call("POST", `${PATH}/replay`, { body: {} });
  assert.deepEqual(done.json, { matched: 2, replayed: 1, skipped: 1, dry_run: false, has_more: false });
  assert.deepEqual(
    (await harness.takeDue()).map(({ members }) => members[0]?.id),
    [two.eventId],
  );
  assert.equal(await harness.drivers.deadLetters.count({ tenant: null }), 0);
});

test("so does the replay of an endpoint", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  succeed(harness, await addDead(harness, endpointId));
  await harness.clock.advance(5000);
  const done = await harness.call("POST", `/v1/endpoints/${endpointId}/replay`, { body: {} });
  assert.deepEqual([at(done.json, "matched"), at(done.json, "replayed"), at(done.json, "skipped")], [1, 0, 1]);
  assert.deepEqual(await harness.takeDue(), []);
});

test("409 for one letter, with when and what sends it once more; then it is gone", async () => {
  await using harness = await openGatewayHarness();
  const letter = await addDead(harness, await createEndpoint(harness));
  succeed(harness, letter);
  const refused = await harness.call("POST", `${PATH}/${letter.id}/replay`);
  assertProblem(refused, 409, "conflict");
  assert.match(refused.text, new RegExp(`delivered .*12:00:01.500Z.*/v1/events/${letter.eventId}/resend`));
  assert.deepEqual(await harness.takeDue(), []);
  assertProblem(await harness.call("POST", `${PATH}/${letter.id}/replay`), 404, "not-found");
});

test("a success before the replay that died does not keep that from being replayed", async () => {
  await using harness = await openGatewayHarness();
  const letter = await addDead(harness, await createEndpoint(harness), { generation: DELIVERED_AT + 1 });
  succeed(harness, letter);
  assert.equal((await harness.call("POST", `${PATH}/${letter.id}/replay`)).status, 202);
});

test("what was held and delivered since is shown as dead, and its event is kept for it no longer", async () => {
  await using harness = await openGatewayHarness();
  const letter = await addDead(harness, await createEndpoint(harness), { state: "paused" });
  succeed(harness, letter);
  assert.equal((await harness.call("POST", `${PATH}/replay`, { body: { state: "paused" } })).status, 200);
  const { rows } = await harness.drivers.ledger.deliveries({ tenant: "default", eventId: letter.eventId }, 10, null);
  assert.deepEqual(rows.map(({ state }) => state).toSorted(), ["dead", "delivered"]);
});

test("the event is delivered, and its story and its why tell that it was dead before; elsewhere it is dead still", async () => {
  await using harness = await openGatewayHarness();
  const [one, two] = [await createEndpoint(harness), await createEndpoint(harness)];
  const letter = await addDead(harness, one);
  succeed(harness, letter);
  const shown = (await harness.call("GET", `/v1/events/${letter.eventId}`)).json;
  assert.equal(at(shown, "state"), "delivered");
  const reasons = (at(shown, "deliveries") as { state: string; reason: string | null }[]).map(({ state, reason }) => [
    state,
    reason,
  ]);
  assert.deepEqual(
    new Set(reasons),
    new Set([
      ["dead", "answered 500; then delivered by a replay at 2026-01-31T12:00:01.500Z"],
      ["delivered", null],
    ]),
  );
  const why = await harness.call("GET", `/v1/events/${letter.eventId}/why?endpoint=${one}`);
  assert.match(
    why.text,
    /delivered, since 2026-01-31T12:00:01.500Z; dead before, since 2026-01-31T12:00:00.000Z: answered 500/,
  );
  record(harness, { eventId: letter.eventId, endpointId: two }, { reason: "answered 503" });
  const both = (await harness.call("GET", `/v1/events/${letter.eventId}`)).json;
  assert.equal(at(both, "state"), "partial");
  const other = (at(both, "deliveries") as { endpoint_id: string; reason: string | null }[]).find(
    ({ endpoint_id: id }) => id === two,
  );
  assert.equal(other?.reason, "answered 503");
});

test("a late success of an older generation is told of by the one that died", async () => {
  await using harness = await openGatewayHarness();
  const letter = await addDead(harness, await createEndpoint(harness), { generation: START_MS });
  record(harness, letter, { generation: START_MS, reason: "answered 500" });
  const { eventId, endpointId } = letter;
  record(harness, { eventId, endpointId }, { generation: 0, state: "delivered", atMs: DELIVERED_AT });
  const why = await harness.call("GET", `/v1/events/${eventId}/why?endpoint=${endpointId}`);
  assert.match(why.text, /answered 500, since [^;]*; then delivered at 2026-01-31T12:00:01.500Z/);
});
