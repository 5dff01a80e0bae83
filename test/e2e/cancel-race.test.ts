/**
 * Cancelled or sent, and never both, on real processes: events with `deliver_at` are cancelled about when their time comes.
 * What was answered 200 never arrives, what was answered 409 does.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import type { Answer } from "./posthaste-child.ts";
import { call, openFolder, startServe } from "./posthaste-child.ts";

const EVENTS = 90;
/** The first is due so long after it was published, and each next one a little later. */
const FIRST_MS = 2500;
const STEP_MS = 10;
/** The moment of the cancel, from the event's time. Two are certain, however slow the machine is. */
const MOMENTS = ["an hour before", -1500, -30, -10, -3, 0, 3, 10, "when it came"] as const;
const HOUR_MS = 3_600_000;
const running = new AbortController().signal;

type Ask = (path: string, body?: unknown) => Promise<Answer>;

async function openCounting() {
  const came = new Map<string, number>();
  const receiver = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    came.set(id, (came.get(id) ?? 0) + 1);
    response.writeHead(204).end();
  });
  return { came, url: receiver.url, [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose]() };
}

/** Publishes one event and cancels it at its moment; the status of the answer. */
async function publishAndCancel(ask: Ask, index: number, came: ReadonlyMap<string, number>) {
  const moment = MOMENTS[index % MOMENTS.length] ?? 0;
  const dueAtMs = systemClock.now() + (moment === "an hour before" ? HOUR_MS : FIRST_MS + index * STEP_MS);
  const priority = ["HIGH", "MEDIUM", "LOW"][index % 3];
  const deliverAt = new Date(dueAtMs).toISOString();
  const published = await ask("/v1/events", { type: "order.paid", priority, data: index, deliver_at: deliverAt });
  assert.equal(published.status, 202, JSON.stringify(published.body));
  const id = String(published.body["id"]);
  if (moment === "when it came") {
    await waitFor({ fact: `${id} to come`, withinMs: 90_000, holds: () => came.has(id) });
  } else if (moment !== "an hour before") {
    const waitMs = dueAtMs + moment - systemClock.now();
    if (waitMs > 0) await systemClock.sleep(waitMs, running);
  }
  const { status } = await ask(`/v1/events/${id}/cancel`, {});
  return { id, status };
}

async function race(ask: Ask, url: string, came: ReadonlyMap<string, number>): Promise<void> {
  const made = await ask("/v1/endpoints", { url, event_types: ["*"] });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const all = await Promise.all(Array.from({ length: EVENTS }, (_, index) => publishAndCancel(ask, index, came)));
  const cancelled = all.filter(({ status }) => status === 200);
  const sent = all.filter(({ status }) => status === 409);
  assert.equal(cancelled.length + sent.length, EVENTS, all.map(({ status }) => status).join(" "));
  assert.ok(cancelled.length > 0 && sent.length > 0, `${cancelled.length} cancelled, ${sent.length} sent`);
  await waitFor({
    fact: "what was not cancelled to come",
    withinMs: 90_000,
    holds: () => sent.every(({ id }) => came.has(id)),
  });
  const stateOf = async (id: string): Promise<unknown> => (await ask(`/v1/events/${id}`)).body["state"];
  for (const { id } of sent) {
    await waitFor({
      fact: `${id} to be delivered`,
      withinMs: 90_000,
      holds: async () => (await stateOf(id)) === "delivered",
    });
  }
  for (const { id } of cancelled) assert.equal(await stateOf(id), "cancelled");
  // All that were to be sent at all were due before this one.
  const last = await ask("/v1/events", {
    type: "order.paid",
    data: 0,
    deliver_at: new Date(systemClock.now() + 1500).toISOString(),
  });
  await waitFor({ fact: "the last event to come", withinMs: 90_000, holds: () => came.has(String(last.body["id"])) });
  assert.deepEqual(
    cancelled.filter(({ id }) => came.has(id)),
    [],
  );
}

test("embedded: an event is cancelled or sent, and never both", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path);
  await using receiver = await openCounting();
  await race((path, body) => call(serving.url, path, body), receiver.url, receiver.came);
});

test("embedded: what was cancelled stays cancelled through SIGKILL", async () => {
  using folder = openFolder();
  await using receiver = await openCounting();
  const ids: string[] = [];
  {
    await using serving = await startServe(folder.path);
    await call(serving.url, "/v1/endpoints", { url: receiver.url, event_types: ["*"] });
    const deliverAt = new Date(systemClock.now() + 3000).toISOString();
    for (let index = 0; index < 4; index++) {
      const { body } = await call(serving.url, "/v1/events", { type: "a", data: index, deliver_at: deliverAt });
      ids.push(String(body["id"]));
    }
    for (const id of ids.slice(0, 2))
      assert.equal((await call(serving.url, `/v1/events/${id}/cancel`, {})).status, 200);
    serving.kill("SIGKILL");
    await serving.exited;
  }
  await using serving = await startServe(folder.path);
  const stateOf = async (id = ""): Promise<unknown> => (await call(serving.url, `/v1/events/${id}`)).body["state"];
  for (const id of ids.slice(2)) {
    await waitFor({
      fact: `${id} to be delivered`,
      withinMs: 90_000,
      holds: async () => (await stateOf(id)) === "delivered",
    });
  }
  assert.deepEqual([await stateOf(ids[0]), await stateOf(ids[1])], ["cancelled", "cancelled"]);
  assert.deepEqual([...receiver.came.keys()].toSorted(), ids.slice(2).toSorted());
});

test("distributed: an event is cancelled or sent, and never both, whichever gateway is asked", async () => {
  await using harness = await openDistributedHarness({ gateways: 2, processors: 2 });
  await using receiver = await openCounting();
  let turn = 0;
  await race((path, body) => harness.ask(turn++ % 2, path, body), receiver.url, receiver.came);
});
