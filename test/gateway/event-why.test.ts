/** `GET /v1/events/:id/why`: the decisions between an event and one endpoint, as codes and in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliveryRecord, FanOut } from "@posthaste/shared/ports/ledger.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { seededEntropy } from "../support/ambient.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const NOWHERE = newId("ep", START_MS, seededEntropy(9));
const ANSWER = { kind: "answered", retryAfter: null, bodyExcerpt: "", isBodyCut: false, durationMs: 12 } as const;

async function createEndpoint(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const body = { url: "https://a.example/", ...parts };
  return textAt((await harness.call("POST", "/v1/endpoints", { body })).json, "id");
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

function fanOut(harness: GatewayHarness, eventId: string, parts: Partial<FanOut>): void {
  const nobody = { matched: [], matchedCount: 0, filtered: [], filteredCount: 0 };
  const entry = { tenant: "default", eventId, atMs: START_MS + 5, ...nobody, ...parts };
  harness.drivers.ledger.record([{ kind: "fan-out", fanOut: entry }]);
}

const why = (harness: GatewayHarness, id: string, endpoint: string) =>
  harness.call("GET", `/v1/events/${id}/why?endpoint=${endpoint}`);

interface Shown {
  readonly codes: readonly string[];
  readonly text: string;
  readonly waitsFor: unknown;
}

async function shown(harness: GatewayHarness, id: string, endpoint: string): Promise<Shown> {
  const { status, json, text } = await why(harness, id, endpoint);
  assert.equal(status, 200, text);
  const decisions = at(json, "decisions") as { on: string; code: string; detail: string }[];
  for (const { detail } of decisions) assert.match(detail, /\w{2,}/);
  return { codes: decisions.map(({ on, code }) => `${on} ${code}`), text, waitsFor: at(json, "waiting.for") };
}

const leg = (wait: NonNullable<DeliveryRecord["leg"]>["wait"]) => ({
  sinceMs: START_MS,
  takenAtMs: START_MS,
  limiterMs: 0,
  wait,
});

test("404 for an event or an endpoint that is not the tenant's, 400 when no endpoint is named", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness);
  const id = await publish(harness);
  assertProblem(await why(harness, newId("evt", START_MS, seededEntropy(9)), endpoint), 404, "not-found");
  assertProblem(await why(harness, "..", endpoint), 404, "not-found");
  assertProblem(await why(harness, id, NOWHERE), 404, "not-found");
  for (const path of [`/v1/events/${id}/why`, `/v1/events/${id}/why?endpoint=x`]) {
    const refused = await harness.call("GET", path);
    assertProblem(refused, 400, "invalid-query");
    assertNames(refused, "endpoint");
  }
  const other = await harness.createKey({ tenant: "acme" });
  const path = `/v1/events/${id}/why?endpoint=${endpoint}`;
  assertProblem(await harness.call("GET", path, { key: other }), 404, "not-found");
});

test("not fanned out yet: what would match, what would not, and what is not due", async () => {
  await using harness = await openGatewayHarness();
  const all = await createEndpoint(harness);
  const users = await createEndpoint(harness, { event_types: ["user.*"] });
  const id = await publish(harness);
  const would = await shown(harness, id, all);
  const calm = ["limit unlimited", "breaker not-open", "retry none-made"];
  assert.deepEqual(would.codes, ["event accepted", "match would-match", "endpoint active", ...calm, "outcome in-lane"]);
  assert.equal(would.waitsFor, "lane");
  const not = await shown(harness, id, users);
  assert.deepEqual(not.codes, ["event accepted", "match would-be-filtered", "endpoint active"]);
  assert.match(not.text, /does not subscribe to order\.paid: user\.\*/);
  assert.equal(not.waitsFor, undefined);
  const later = await publish(harness, { deliver_at: "2026-02-01T00:00:00Z" });
  const { codes, waitsFor } = await shown(harness, later, all);
  assert.deepEqual([codes[0], codes.at(-1), waitsFor], ["event not-due", "outcome not-due", "deliver-at"]);
  await harness.clock.advance(13 * 3_600_000);
  const due = await shown(harness, later, all);
  assert.deepEqual([due.codes[0], due.codes.at(-1), due.waitsFor], ["event due", "outcome in-lane", "lane"]);
});

test("filtered at fan-out, made after it, cancelled: nothing more is decided", async () => {
  await using harness = await openGatewayHarness();
  const users = await createEndpoint(harness, { event_types: ["user.*"] });
  const id = await publish(harness);
  fanOut(harness, id, { filtered: [users], filteredCount: 1, matchedCount: 1, matched: [NOWHERE] });
  const filtered = await shown(harness, id, users);
  assert.deepEqual(filtered.codes, ["event accepted", "match filtered", "endpoint active"]);
  assert.match(
    filtered.text,
    /did not subscribe to order\.paid when the event was fanned out; its event_types now: user/,
  );
  await harness.clock.advance(1000);
  const late = await createEndpoint(harness);
  assert.equal((await shown(harness, id, late)).codes[1], "match created-later");
  const cancelled = await publish(harness, { deliver_at: "2026-02-01T00:00:00Z" });
  await harness.call("POST", `/v1/events/${cancelled}/cancel`);
  assert.deepEqual((await shown(harness, cancelled, late)).codes.slice(1), ["match cancelled", "endpoint active"]);
});

test("of an endpoint that the record of the fan-out does not name, the whole list of the other kind tells", async () => {
  await using harness = await openGatewayHarness();
  const unnamed = await createEndpoint(harness);
  const decided = async (parts: Partial<FanOut>): Promise<string | undefined> => {
    const id = await publish(harness);
    await harness.clock.advance(1000);
    fanOut(harness, id, { atMs: harness.clock.now(), ...parts });
    return (await shown(harness, id, unnamed)).codes[1];
  };
  const one = { matched: [NOWHERE], filtered: [NOWHERE] };
  assert.equal(await decided({ ...one, matchedCount: 1, filteredCount: 200 }), "match filtered");
  assert.equal(await decided({ ...one, matchedCount: 200, filteredCount: 1 }), "match matched");
  assert.equal(await decided({ ...one, matchedCount: 200, filteredCount: 200 }), "match unknown");
  assert.equal(await decided({ ...one, matchedCount: 1, filteredCount: 1 }), "match unknown");
});

test("what was sent again to an endpoint that did not subscribe is told to its end", async () => {
  await using harness = await openGatewayHarness();
  const users = await createEndpoint(harness, { event_types: ["user.*"] });
  const id = await publish(harness);
  fanOut(harness, id, { filtered: [users], filteredCount: 1, matchedCount: 1, matched: [NOWHERE] });
  record(harness, id, users, {
    generation: START_MS + 2000,
    state: "delivered",
    attempt: 1,
    result: { ...ANSWER, status: 200 },
  });
  const { codes, text } = await shown(harness, id, users);
  assert.deepEqual([codes[1], codes.at(-1)], ["match matched", "outcome delivered"]);
  assert.match(text, /did not subscribe to order\.paid when .* later replay/);
});

test("of an event that was replayed, its latest delivery is told of, or the one that is named, each with its own attempts", async () => {
  await using harness = await openGatewayHarness();
  const [endpoint, other] = [await createEndpoint(harness), await createEndpoint(harness)];
  const id = await publish(harness);
  fanOut(harness, id, { matched: [endpoint, other], matchedCount: 2 });
  const answered = (status: number) => ({ attempt: 1, result: { ...ANSWER, status } });
  record(harness, id, endpoint, { ...answered(500), state: "dead", reason: "answered 500" });
  const generation = START_MS + 2000;
  record(harness, id, endpoint, { ...answered(200), generation, atMs: START_MS + 3000, state: "delivered" });
  const { json } = await harness.call("GET", `/v1/events/${id}`);
  const deliveries = at(json, "deliveries") as { id: string; endpoint_id: string; replayed_at: string | null }[];
  const idOf = (endpointId: string, isReplay: boolean): string =>
    deliveries.find((each) => each.endpoint_id === endpointId && (each.replayed_at !== null) === isReplay)?.id ?? "";
  const told = async (delivery: string, of = endpoint) =>
    (await shown(harness, id, `${of}${delivery === "" ? "" : `&delivery=${delivery}`}`)).codes.slice(-2);
  assert.deepEqual(await told(""), ["retry not-needed", "outcome delivered"]);
  assert.deepEqual(await told(idOf(endpoint, true)), ["retry not-needed", "outcome delivered"]);
  assert.deepEqual(await told(idOf(endpoint, false)), ["retry ended", "outcome dead"]);
  assert.deepEqual(await told(idOf(other, false), other), ["retry none-made", "outcome in-lane"], "not begun yet");
  const { text } = await why(harness, id, `${endpoint}&delivery=${idOf(endpoint, false)}`);
  assert.match(text, /was answered 500/);
  assertProblem(await why(harness, id, `${endpoint}&delivery=${idOf(other, false)}`), 404, "not-found");
  const refused = await why(harness, id, `${endpoint}&delivery=x`);
  assertProblem(refused, 400, "invalid-query");
  assertNames(refused, "delivery");
});

test("a test event is told as one: it comes whatever its endpoint subscribes to", async () => {
  await using harness = await openGatewayHarness();
  const users = await createEndpoint(harness, { event_types: ["user.*"] });
  const sent = await harness.call("POST", `/v1/endpoints/${users}/test`, { body: {} });
  assert.equal(sent.status, 202, sent.text);
  const { codes, text } = await shown(harness, textAt(sent.json, "id"), users);
  assert.equal(codes[1], "match matched");
  assert.match(text, /a test event goes to the endpoint that it was asked for, whatever that subscribes to/);
  assert.doesNotMatch(text, /the endpoint subscribed/);
});

const waits: Readonly<Record<string, readonly [Partial<DeliveryRecord>, readonly string[], unknown]>> = {
  "the breaker": [
    { leg: leg("breaker-open"), nextAttemptAtMs: START_MS + 9000, reason: "waits: it failed" },
    ["limit within-limit", "breaker open", "retry none-made", "outcome pending"],
    "breaker-open",
  ],
  "its rate limit": [
    { leg: leg("throttled"), nextAttemptAtMs: START_MS + 9000, reason: "waits: throttled" },
    ["limit throttled", "breaker not-open", "retry none-made", "outcome pending"],
    "throttled",
  ],
  "slow answers": [
    { leg: leg("busy"), nextAttemptAtMs: START_MS + 9000, reason: "waits: busy" },
    ["limit busy", "breaker not-open", "retry none-made", "outcome pending"],
    "busy",
  ],
  "too many others": [
    { state: "backlog", reason: "more than 100 already waited" },
    ["limit backlog", "breaker not-open", "retry none-made", "outcome backlog"],
    "backlog",
  ],
  "a retry": [
    {
      state: "retrying",
      attempt: 1,
      result: { ...ANSWER, status: 503 },
      leg: leg("retry"),
      nextAttemptAtMs: START_MS + 9000,
      reason: "answered 503",
    },
    ["limit within-limit", "breaker not-open", "retry planned", "outcome retrying"],
    "retry",
  ],
};
for (const [what, [parts, expected, waitsFor]] of Object.entries(waits)) {
  test(`a delivery that waits for ${what} says so`, async () => {
    await using harness = await openGatewayHarness();
    const endpoint = await createEndpoint(harness, { rate_limit: { limit: 5, window_ms: 1000 } });
    const id = await publish(harness);
    record(harness, id, endpoint, parts);
    const found = await shown(harness, id, endpoint);
    assert.deepEqual(found.codes, ["event accepted", "match matched", "endpoint active", ...expected]);
    assert.equal(found.waitsFor, waitsFor);
    assert.match(found.text, /at most 5 attempts in 1000 ms/);
  });
}

test("what was delivered, and what ended dead at an endpoint that is disabled by now", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness, { retry: { delays_s: [0, 1] } });
  const id = await publish(harness);
  record(harness, id, endpoint, { state: "delivered", attempt: 1, result: { ...ANSWER, status: 204 } });
  const delivered = await shown(harness, id, endpoint);
  assert.deepEqual(delivered.codes.slice(-2), ["retry not-needed", "outcome delivered"]);
  assert.match(delivered.text, /1 of 2 attempts made; the last was answered 204/);
  assert.equal(delivered.waitsFor, undefined);
  const dead = await publish(harness);
  const fault = { kind: "fault", fault: "timeout", detail: "no answer in 15 s", durationMs: 15_000 } as const;
  const reason = "no answer in 15 s; attempt 2 of 2 was the last";
  record(harness, dead, endpoint, { state: "dead", attempt: 2, result: fault, reason });
  await harness.call("PATCH", `/v1/endpoints/${endpoint}`, { body: { paused: true } });
  const ended = await shown(harness, dead, endpoint);
  assert.deepEqual([ended.codes[2], ...ended.codes.slice(-2)], ["endpoint paused", "retry ended", "outcome dead"]);
  assert.match(ended.text, /2 of 2 attempts made; the last failed: no answer in 15 s; no further one/);
  await harness.call("PATCH", `/v1/endpoints/${endpoint}`, { body: { retry: { delays_s: [0] } } });
  const shortened = await shown(harness, dead, endpoint);
  assert.match(shortened.text, /2 attempts made \(the retry schedule allows 1 by now\); the last failed/);
});

test("of replays the latest counts; an endpoint that is gone is named as that", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await createEndpoint(harness);
  const id = await publish(harness);
  record(harness, id, endpoint, {
    state: "dead",
    attempt: 1,
    result: { ...ANSWER, status: 500 },
    reason: "answered 500",
  });
  const generation = START_MS + 60_000;
  record(harness, id, endpoint, { generation, state: "delivered", attempt: 1, result: { ...ANSWER, status: 201 } });
  const replayed = await shown(harness, id, endpoint);
  assert.equal(replayed.codes.at(-1), "outcome delivered");
  assert.match(replayed.text, /answered 201/);
  await harness.call("DELETE", `/v1/endpoints/${endpoint}`);
  assert.equal((await shown(harness, id, endpoint)).codes[2], "endpoint gone");
});
