/**
 * What the distributed set says of itself equals what the receivers saw, counted by themselves. On a busy machine something may
 * come twice: then both are counted, and the ledger keeps the later one of an attempt.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const EVENTS = 600;
const WITHIN_MS = 120_000;
const priorities = ["HIGH", "MEDIUM", "LOW"] as const;

type Json = Readonly<Record<string, unknown>>;

async function create(harness: DistributedHarness, url: string, parts: Json): Promise<string> {
  const { status, body } = await harness.ask(0, "/v1/endpoints", { url, ...parts });
  assert.equal(status, 201, JSON.stringify(body));
  return String(body["id"]);
}

/** Every row of a list. */
async function readAll(harness: DistributedHarness, path: string): Promise<Json[]> {
  const rows: Json[] = [];
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? "" : `&cursor=${cursor}`;
    const { status, body } = await harness.ask(1, `${path}${path.includes("?") ? "&" : "?"}limit=100${more}`);
    assert.equal(status, 200, JSON.stringify(body));
    rows.push(...(body["data"] as Json[]));
    cursor = body["next_cursor"] as string | null;
  } while (cursor !== null);
  return rows;
}

/** Events in all lanes over both gateways; every tenth is for the endpoint that is gone, too. */
async function publishAll(harness: DistributedHarness) {
  const idsOfGone = new Set<string>();
  const ids = new Set<string>();
  for (let index = 0; index < EVENTS; index += 10) {
    await Promise.all(
      Array.from({ length: 10 }, async (_, at) => {
        const type = at === 9 ? "count.gone" : `count.t${at % 3}`;
        const event = { type, priority: priorities[(index + at) % 3], data: { index: index + at } };
        const { status, body } = await harness.ask(at % 2, "/v1/events", event);
        assert.equal(status, 202, JSON.stringify(body));
        ids.add(String(body["id"]));
        if (at === 9) idsOfGone.add(String(body["id"]));
      }),
    );
  }
  return { ids, idsOfGone };
}

/** Samples of one gauge, by the value of its label `queue`, of the first processor. */
async function queueDepths(harness: DistributedHarness): Promise<Record<string, number>> {
  const response = await fetch(`${harness.processors[0]?.url}/metrics`);
  const samples = (await response.text()).matchAll(/^posthaste_queue_depth\{[^}]*queue="([^"]+)"[^}]*\} (\d+)/gm);
  return Object.fromEntries([...samples].map(([, queue = "", value]) => [queue, Number(value)]));
}

/** The first request of every fourth event is answered 500, all others 200. */
async function openFlaky() {
  const ids = new Set<string>();
  const attempts = new Set<string>();
  const answers = { 200: 0, 500: 0 };
  const receiver = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    const isFirst = !ids.has(id);
    ids.add(id);
    attempts.add(`${id} ${String(request.headers["posthaste-attempt"])}`);
    const status = isFirst && ids.size % 4 === 0 ? 500 : 200;
    answers[status] += 1;
    response.writeHead(status).end();
  });
  return { ...receiver, ids, attempts, answers };
}

/** Of one gateway, to somebody who signs in with the key. */
async function overviewOf(url: string, key: string): Promise<string> {
  const form = {
    method: "POST",
    redirect: "manual",
    headers: { origin: url },
    body: new URLSearchParams({ key }),
  } as const;
  const signedIn = await fetch(`${url}/dashboard/sign-in`, form);
  const cookie = signedIn.headers.getSetCookie()[0]?.split(";", 1)[0] ?? "";
  const page = await fetch(`${url}/dashboard`, { headers: { cookie } });
  assert.equal(page.status, 200);
  return (await page.text()).replaceAll(/\s+/g, " ");
}

test("stats, queue depths, ledger and dead letters equal what the receivers saw", async () => {
  await using steady = await openCounter();
  await using flaky = await openFlaky();
  await using gone = await openCounter(410);
  await using harness = await openDistributedHarness({ gateways: 2, processors: 2 });
  const retry = { delays_s: [0, 1, 1] };
  const steadyId = await create(harness, steady.url, { event_types: ["count.*"] });
  const flakyId = await create(harness, flaky.url, { event_types: ["count.*"], retry });
  const goneId = await create(harness, gone.url, { event_types: ["count.gone"] });
  const { ids, idsOfGone } = await publishAll(harness);
  const statsOf = async (id: string) => (await harness.ask(0, `/v1/endpoints/${id}/stats`)).body;
  await waitFor({
    fact: "all queues to be empty",
    withinMs: WITHIN_MS,
    async holds() {
      const depths = await queueDepths(harness);
      const expected = { high: 0, medium: 0, low: 0, retry: 0, dead: idsOfGone.size };
      return Object.entries(expected).every(([queue, depth]) => depths[queue] === depth);
    },
  });
  await waitFor({
    fact: "the stats to tell of every attempt",
    withinMs: WITHIN_MS,
    holds: async () => (await statsOf(flakyId))["attempts"] === flaky.answers[200] + flaky.answers[500],
  });
  const ofSteady = await statsOf(steadyId);
  assert.deepEqual([ofSteady["attempts"], ofSteady["delivered"]], [steady.arrivals(), steady.arrivals()]);
  const ofFlaky = await statsOf(flakyId);
  assert.deepEqual([ofFlaky["delivered"], ofFlaky["retried"]], [flaky.answers[200], flaky.answers[500]]);
  assert.deepEqual([steady.timesById.size, flaky.ids.size, flaky.answers[500]], [EVENTS, EVENTS, EVENTS / 4]);
  const failed = flaky.answers[500] + gone.arrivals();
  const told = `${EVENTS} accepted, ${(steady.arrivals() + flaky.answers[200]).toLocaleString("en")} delivered, ${failed} attempts failed`;
  const dashboards = harness.gateways.map(({ url }) => overviewOf(url, harness.operatorKey));
  for (const overview of await Promise.all(dashboards)) assert.ok(overview.includes(told), `${told} in: ${overview}`);
  const letters = await readAll(harness, `/v1/dead-letters?endpoint_id=${goneId}`);
  assert.deepEqual(letters.map((letter) => String(letter["event_id"])).toSorted(), [...idsOfGone].toSorted());
  // The first is dead, the answer 410 said so; the others were held back.
  const stateById = new Map(letters.map((letter) => [String(letter["event_id"]), letter["state"]]));
  assert.equal((await statsOf(goneId))["attempts"], gone.arrivals());
  const attempts = await readAll(harness, `/v1/endpoints/${flakyId}/attempts`);
  assert.equal(attempts.length, flaky.attempts.size);
  const events = await readAll(harness, "/v1/events");
  assert.deepEqual(events.map((event) => String(event["id"])).toSorted(), [...ids].toSorted());
  for (const event of events) {
    const id = String(event["id"]);
    assert.deepEqual(await deliveryStates(harness, id), {
      [steadyId]: "delivered",
      [flakyId]: "delivered",
      [goneId]: stateById.get(id) ?? "filtered",
    });
  }
});

/** The state of each delivery of an event, by endpoint. */
async function deliveryStates(harness: DistributedHarness, id: string): Promise<Record<string, unknown>> {
  const { body } = await harness.ask(0, `/v1/events/${id}?include=filtered`);
  return Object.fromEntries(
    (body["deliveries"] as Json[]).map((delivery) => [String(delivery["endpoint_id"]), delivery["state"]]),
  );
}

test("a Redis that was emptied gets its endpoints back from the processes, and events arrive again", async () => {
  await using redis = await startRedis();
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({
    gateways: 2,
    processors: 2,
    env: { REDIS_URL: redis.url },
  });
  const id = await create(harness, counter.url, {});
  const publish = () => harness.ask(0, "/v1/events", { type: "a.b", data: {} });
  assert.equal((await publish()).status, 202);
  await waitFor({ fact: "the first event to come", withinMs: WITHIN_MS, holds: () => counter.arrivals() === 1 });
  /** The operator's key goes with the flush; a gateway trusts it for a second more, and a restart brings it back. */
  const restartIfRefused = async (status: number): Promise<void> => {
    if (status !== 401) return;
    await harness.gateways.shift()?.end("SIGTERM");
    await harness.add("gateway");
  };
  await redis.ask("FLUSHALL");
  await waitFor({
    fact: "the endpoint to be there again",
    withinMs: WITHIN_MS,
    async holds() {
      const found = await harness.ask(1, `/v1/endpoints/${id}`);
      await restartIfRefused(found.status);
      return found.status === 200;
    },
  });
  const startedAt = systemClock.monotonic();
  await waitFor({
    fact: "an event to be accepted and to arrive",
    withinMs: WITHIN_MS,
    async holds() {
      const { status } = await publish();
      await restartIfRefused(status);
      return status === 202 && counter.arrivals() >= 2;
    },
  });
  console.log(`arrived ${Math.round(systemClock.monotonic() - startedAt)} ms after the endpoint was back`);
});
