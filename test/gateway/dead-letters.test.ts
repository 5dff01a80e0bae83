/** Dead letters and replays: list, show, delete, and new attempts that are planned before anything is taken away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import { START_MS, sampleDeadLetter } from "../support/samples.ts";

const PATH = "/v1/dead-letters";

async function createEndpoint(harness: GatewayHarness, tenant = "default"): Promise<string> {
  const answer = await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/", tenant } });
  return textAt(answer.json, "id");
}

async function deliver(
  harness: GatewayHarness,
  endpointId: string,
  standing: Partial<DeliveryRecord> = {},
): Promise<string> {
  const answer = await harness.call("POST", "/v1/events", { body: { type: "a", data: 1 } });
  const eventId = textAt(answer.json, "id");
  const key = { tenant: "default", eventId, endpointId, generation: 0 };
  harness.drivers.ledger.record([
    {
      kind: "delivery",
      delivery: {
        ...key,
        eventType: "a",
        atMs: harness.clock.now(),
        state: "delivered",
        attempt: 1,
        result: null,
        groupId: null,
        nextAttemptAtMs: null,
        reason: null,
        ...standing,
      },
    },
  ]);
  return eventId;
}

test("200 lists what matches each filter, newest first", async () => {
  await using harness = await openGatewayHarness();
  const [one, two] = [await createEndpoint(harness), await createEndpoint(harness)];
  const first = await harness.addDeadLetter({ endpointId: one });
  const second = await harness.addDeadLetter({
    endpointId: two,
    deadLetter: { state: "backlog", atMs: START_MS + 1000 },
  });
  const ids = async (query: string): Promise<unknown[]> => {
    const { json, text } = await harness.call("GET", `${PATH}${query}`);
    const data = at(json, "data");
    assert.ok(Array.isArray(data), text);
    return data.map((row) => at(row, "id"));
  };
  assert.deepEqual(await ids(""), [second.id, first.id]);
  assert.deepEqual(await ids(`?endpoint_id=${one}`), [first.id]);
  assert.deepEqual(await ids(`?event_id=${second.eventId}`), [second.id]);
  assert.deepEqual(await ids("?state=backlog"), [second.id]);
  assert.deepEqual(await ids("?type=order.paid&limit=1"), [second.id]);
  assert.deepEqual(await ids("?type=other"), []);
  assert.deepEqual(await ids("?since=2026-01-31T12:00:01Z"), [second.id]);
  assert.deepEqual(await ids("?until=2026-01-31T12:00:01Z"), [first.id]);
  assert.deepEqual(await ids("?tenant=acme"), []);
});

test("200 shows a letter with its reason and its data as published", async () => {
  await using harness = await openGatewayHarness();
  const deadLetter = await harness.addDeadLetter({ endpointId: await createEndpoint(harness) });
  const shown = await harness.call("GET", `${PATH}/${deadLetter.id}`);
  assert.equal(shown.status, 200, shown.text);
  assert.ok(shown.text.endsWith(',"data":{"n":1e400}}'), shown.text);
  assert.deepEqual(
    [at(shown.json, "state"), at(shown.json, "reason"), at(shown.json, "attempt_count")],
    ["dead", "answered 500", 10],
  );
  assert.equal(at(shown.json, "event.type"), "order.paid");
});

test("204 deletes; then it is 404", async () => {
  await using harness = await openGatewayHarness();
  const { id } = await harness.addDeadLetter({ endpointId: await createEndpoint(harness) });
  assert.equal((await harness.call("DELETE", `${PATH}/${id}`)).status, 204);
  for (const [method, path] of [
    ["GET", id],
    ["DELETE", id],
    ["POST", `${id}/replay`],
    ["GET", "x"],
  ] as const) {
    assertProblem(await harness.call(method, `${PATH}/${path}`), 404, "not-found");
  }
});

test("202 replays one: planned at once, as attempt 1 of a new generation, then taken out", async () => {
  await using harness = await openGatewayHarness();
  const deadLetter = await harness.addDeadLetter({ endpointId: await createEndpoint(harness) });
  const answer = await harness.call("POST", `${PATH}/${deadLetter.id}/replay`);
  assert.equal(answer.status, 202, answer.text);
  assert.notEqual(at(answer.json, "delivery_id"), deadLetter.id);
  const [item] = await harness.takeDue();
  assert.deepEqual(
    [item?.cause, item?.attempt, item?.generation, item?.notBeforeMs, item?.endpointId],
    ["replay", 1, START_MS, START_MS, deadLetter.endpointId],
  );
  assert.deepEqual(item?.members[0]?.body, deadLetter.envelope.body);
  assert.equal(await harness.drivers.deadLetters.find(deadLetter.id), null);
});

test("a replay is seen in the event at once, as pending", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  const deadLetter = await harness.addDeadLetter({ endpointId });
  const answer = await harness.call("POST", `${PATH}/${deadLetter.id}/replay`);
  const { json } = await harness.call("GET", `/v1/events/${deadLetter.eventId}`);
  assert.deepEqual(
    [at(json, "deliveries.0.id"), at(json, "deliveries.0.state")],
    [at(answer.json, "delivery_id"), "pending"],
  );
});

for (const [what, method, suffix, reason] of [
  ["deleted", "DELETE", "", "its dead letter was deleted"],
  ["replayed", "POST", "/:id/replay", "replayed by hand, as a delivery of its own"],
  ["replayed by filter", "POST", "/replay", "replayed by hand, as a delivery of its own"],
] as const) {
  test(`a held dead letter that is ${what} ends its delivery with the reason`, async () => {
    await using harness = await openGatewayHarness();
    const endpointId = await createEndpoint(harness);
    const eventId = await deliver(harness, endpointId, { state: "paused", attempt: 0 });
    const record = await harness.drivers.ledger.event("default", eventId);
    assert.ok(record);
    const held = sampleDeadLetter("dlv_01kg9bqf00aaaaaaaaaaaaaaaa", {
      endpointId,
      state: "paused",
      attempts: 0,
      envelope: record.envelope,
    });
    await harness.drivers.deadLetters.append([held]);
    const path = suffix === "" ? `/${held.id}` : suffix.replace(":id", held.id);
    const body = method === "POST" ? { body: {} } : {};
    const answer = await harness.call(method, `${PATH}${path}`, body);
    assert.ok(answer.status < 300, answer.text);
    const { json } = await harness.call("GET", `/v1/events/${eventId}`);
    const deliveries = at(json, "deliveries") as { state: string; reason: string; replayed_at: string | null }[];
    const first = deliveries.find(({ replayed_at: replayedAt }) => replayedAt === null);
    assert.deepEqual([first?.state, first?.reason], ["dead", reason]);
    assert.equal(at(json, "state"), method === "DELETE" ? "dead" : "pending");
  });
}

test("a replay that cannot be planned leaves the letter where it is", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: {
        ...drivers.retryQueue,
        schedule: () => Promise.resolve({ kind: "full", retryAfterS: 7 }),
      },
    }),
  });
  const deadLetter = await harness.addDeadLetter({ endpointId: await createEndpoint(harness) });
  const refused = await harness.call("POST", `${PATH}/${deadLetter.id}/replay`);
  assertProblem(refused, 503, "overloaded");
  assert.equal(refused.headers.get("retry-after"), "7");
  assertProblem(await harness.call("POST", `${PATH}/replay`, { body: {} }), 503, "overloaded");
  assert.notEqual(await harness.drivers.deadLetters.find(deadLetter.id), null);
});

test("a crash between plan and removal delivers again instead of losing", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      deadLetters: { ...drivers.deadLetters, remove: () => Promise.reject(new Error("killed")) },
    }),
  });
  const deadLetter = await harness.addDeadLetter({ endpointId: await createEndpoint(harness) });
  assertProblem(await harness.call("POST", `${PATH}/${deadLetter.id}/replay`), 500, "internal");
  assert.equal((await harness.takeDue()).length, 1);
  assert.notEqual(await harness.drivers.deadLetters.find(deadLetter.id), null);
});

test("409 for a letter whose endpoint was deleted", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  const { id } = await harness.addDeadLetter({ endpointId });
  await harness.call("DELETE", `/v1/endpoints/${endpointId}`);
  assertProblem(await harness.call("POST", `${PATH}/${id}/replay`), 409, "conflict");
  const bulk = await harness.call("POST", `${PATH}/replay`, { body: {} });
  assert.deepEqual(bulk.json, { matched: 1, replayed: 0, skipped: 1, dry_run: false, has_more: false });
});

test("replay by filter plans at the rate asked for; a dry run changes nothing", async () => {
  await using harness = await openGatewayHarness();
  const [one, two] = [await createEndpoint(harness), await createEndpoint(harness)];
  for (let count = 0; count < 230; count++) await harness.addDeadLetter({ endpointId: one });
  await harness.addDeadLetter({ endpointId: two });
  const dry = await harness.call("POST", `${PATH}/replay`, { body: { endpoint_id: one, dry_run: true } });
  assert.deepEqual(dry.json, { matched: 230, replayed: 0, skipped: 0, dry_run: true, has_more: false });
  assert.equal((await harness.drivers.retryQueue.depth()).count, 0);
  const done = await harness.call("POST", `${PATH}/replay`, { body: { endpoint_id: one, rate_per_s: 50 } });
  assert.deepEqual(done.json, { matched: 230, replayed: 230, skipped: 0, dry_run: false, has_more: false });
  assert.equal(await harness.drivers.deadLetters.count({ tenant: null }), 1);
  await harness.clock.advance(10_000);
  const times = (await harness.takeDue())
    .map(({ notBeforeMs }) => notBeforeMs - START_MS)
    .toSorted((left, right) => left - right);
  assert.equal(times.length, 230);
  assert.deepEqual([times[0], times[1], times[50], times[229]], [0, 20, 1000, 4580]);
});

for (const [body, pointer] of [
  [{ rate_per_s: 0 }, "#/rate_per_s"],
  [{ rate_per_s: 1001 }, "#/rate_per_s"],
  [{ rate_per_s: 1.5 }, "#/rate_per_s"],
  [{ state: "delivered" }, "#/state"],
  [{ endpoint_id: "x" }, "#/endpoint_id"],
  [{ since: 1 }, "#/since"],
  [{ dry_run: "no" }, "#/dry_run"],
  [{ id: "x" }, "#/id"],
  [{ type: "" }, "#/type"],
] as const) {
  test(`422 names ${pointer} of the replay ${JSON.stringify(body)}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", `${PATH}/replay`, { body });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, pointer);
  });
}

test("an endpoint's dead deliveries are replayed by the time their events were accepted", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  const letters = [];
  for (const hour of [1, 2, 3]) {
    letters.push(
      await harness.addDeadLetter({
        endpointId,
        acceptedAtMs: START_MS - hour * 3_600_000,
        deadLetter: { atMs: START_MS },
      }),
    );
  }
  await harness.addDeadLetter({ endpointId, acceptedAtMs: START_MS - 7_200_000, deadLetter: { state: "paused" } });
  const body = { since: "2026-01-31T10:00:00Z", until: "2026-01-31T11:00:00Z" };
  const answer = await harness.call("POST", `/v1/endpoints/${endpointId}/replay`, { body });
  assert.deepEqual(answer.json, { matched: 1, replayed: 1, skipped: 0, dry_run: false, next_until: null });
  assert.equal((await harness.takeDue())[0]?.members[0]?.id, letters[1]?.eventId);
  const rest = await harness.call("POST", `/v1/endpoints/${endpointId}/replay`);
  assert.equal(at(rest.json, "replayed"), 2);
});

test("an endpoint's delivered events are replayed from the ledger, each once", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  const ids: string[] = [];
  for (let count = 0; count < 3; count++) {
    ids.push(await deliver(harness, endpointId));
    await harness.clock.advance(1000);
  }
  const replay = (body: object) =>
    harness.call("POST", `/v1/endpoints/${endpointId}/replay`, { body: { status: "delivered", ...body } });
  const dry = await replay({ dry_run: true });
  assert.deepEqual(dry.json, { matched: 3, replayed: 0, skipped: 0, dry_run: true, next_until: null });
  const some = await replay({ since: "2026-01-31T12:00:01Z", until: "2026-01-31T12:00:02Z" });
  assert.equal(at(some.json, "replayed"), 1);
  const [item] = await harness.takeDue();
  assert.deepEqual([item?.members[0]?.id, item?.generation, item?.cause], [ids[1], START_MS + 3000, "replay"]);
});

test("a replay that runs out of its time says where to go on, and nothing is made twice or left out", async () => {
  let isSlow = true;
  await using harness = await openGatewayHarness({
    limits: { requestBudgetMs: 60_000 },
    wrap: (drivers) => ({
      ...drivers,
      ledger: {
        ...drivers.ledger,
        deliveries: async (...args: Parameters<typeof drivers.ledger.deliveries>) => {
          const page = await drivers.ledger.deliveries(...args);
          if (isSlow) await harness.clock.advance(6000);
          return page;
        },
      },
    }),
  });
  const endpointId = await createEndpoint(harness);
  const ids = new Set<string>();
  for (let count = 0; count < 250; count++) {
    ids.add(await deliver(harness, endpointId));
    if (count % 40 === 0) await harness.clock.advance(1);
  }
  const replay = (body: object) =>
    harness.call("POST", `/v1/endpoints/${endpointId}/replay`, {
      body: { status: "delivered", rate_per_s: 1000, ...body },
    });
  const first = await replay({});
  assert.ok(Number(at(first.json, "replayed")) < 250, first.text);
  isSlow = false;
  const second = await replay({ until: textAt(first.json, "next_until") });
  assert.equal(at(second.json, "next_until"), null);
  assert.equal(Number(at(first.json, "replayed")) + Number(at(second.json, "replayed")), 250);
  await harness.clock.advance(2000);
  const replayed = (await harness.takeDue()).map(({ members }) => members[0]?.id);
  assert.deepEqual(new Set(replayed), ids);
  assert.equal(replayed.length, 250);
});

for (const [body, pointer] of [
  [{ status: "pending" }, "#/status"],
  [{ since: "x" }, "#/since"],
  [{ limit: 5 }, "#/limit"],
  [{ since: "2026-01-02T00:00:00Z", until: "2026-01-01T00:00:00Z" }, "#/until"],
] as const) {
  test(`422 names ${pointer} of the endpoint's replay ${JSON.stringify(body)}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", `/v1/endpoints/${await createEndpoint(harness)}/replay`, { body });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, pointer);
  });
}

test("a dead letter of an event that was never fanned out names no endpoint, and its replay fans it out", async () => {
  await using harness = await openGatewayHarness();
  const unknown = await harness.addDeadLetter({ endpointId: UNKNOWN_ENDPOINT, deadLetter: { state: "dead" } });
  const shown = await harness.call("GET", `${PATH}/${unknown.id}`);
  assert.equal(at(shown.json, "endpoint_id"), null);
  const answer = await harness.call("POST", `${PATH}/${unknown.id}/replay`, { body: {} });
  assert.deepEqual([answer.status, at(answer.json, "endpoint_id")], [202, null]);
  const [item] = await harness.drivers.retryQueue.take(10, new AbortController().signal);
  assert.deepEqual([item?.endpointId, item?.generation, item?.members[0]?.id], [null, 0, unknown.eventId]);
  assert.equal(await harness.drivers.deadLetters.find(unknown.id), null);
});
