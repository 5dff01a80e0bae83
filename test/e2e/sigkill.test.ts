/**
 * Promise 1 on the real thing: what was answered 202 is delivered, whenever the process is killed. Publishers, a real
 * `serve` child over one folder, a receiver; SIGKILL at seeded points of the run, in the middle of whatever is under way.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";

import { seededEntropy } from "../support/ambient.ts";
import { openReceiver } from "../support/receiver.ts";
import type { Serving } from "./posthaste-child.ts";
import { call, openFolder, startServe, TEST_KEY } from "./posthaste-child.ts";

const { POSTHASTE_SIGKILL_EVENTS: eventsText = "10000", SEED: seedText = "1" } = process.env;
const EVENTS = Number(eventsText);
const entropy = seededEntropy(Number(seedText));
const PUBLISHERS = 32;
/** While events are published, and once more while only deliveries are under way. */
const KILLS = 6;
/** A kill falls this long after its point at most, so that it hits any moment between two commits. */
const KILL_JITTER_MS = 20;
/** Without one arrival for this long, what is missing is lost: more than the longest claim and any retry used here. */
const PATIENCE_MS = 30_000;
const priorities = ["HIGH", "MEDIUM", "LOW"] as const;
const running = new AbortController().signal;

/** One event to publish until it is answered 202. How it is told from its repeats differs, as it does among callers. */
interface Plan {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

function planOf(index: number): Plan {
  const event = { type: `load.${index % 7}`, priority: priorities[index % 3], data: { index, text: "x".repeat(200) } };
  switch (Math.floor(index / 3) % 3) {
    case 0:
      return { body: JSON.stringify({ ...event, id: `own-${index}` }), headers: {} };
    case 1:
      return { body: JSON.stringify(event), headers: { "idempotency-key": `key-${index}` } };
    default:
      return { body: JSON.stringify(event), headers: {} };
  }
}

/** Counts deliveries by `webhook-id`; every answer is 200. */
async function openCounter() {
  const timesById = new Map<string, number>();
  let arrivals = 0;
  const counter = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    timesById.set(id, (timesById.get(id) ?? 0) + 1);
    arrivals += 1;
    response.writeHead(200).end();
  });
  return { ...counter, timesById, arrivals: () => arrivals };
}

/** The child that is up now; `kill` waits for its death and starts the next on the same folder. */
async function openPhoenix(folder: string) {
  let serving: Serving = await startServe(folder);
  let rebirth: Promise<void> = Promise.resolve();
  let order: Promise<void> = Promise.resolve();
  async function killAndStart(): Promise<void> {
    serving.kill("SIGKILL");
    assert.equal((await serving.exited).signal, "SIGKILL");
    serving = await startServe(folder);
  }
  async function killSoon(): Promise<void> {
    // Publishers go on until the kill itself.
    await systemClock.sleep(entropy.fraction() * KILL_JITTER_MS, running);
    rebirth = killAndStart();
    await rebirth;
  }
  return {
    url: () => serving.url,
    isReborn: () => rebirth,
    kill(): Promise<void> {
      order = order.then(killSoon);
      return order;
    },
    [Symbol.asyncDispose]: () => serving[Symbol.asyncDispose](),
  };
}
type Phoenix = Awaited<ReturnType<typeof openPhoenix>>;

/** Repeats until 202; gives up for a while when the first try is still claimed by a process that is dead. */
async function publish(phoenix: Phoenix, plan: Plan): Promise<string | { readonly retryAfterMs: number }> {
  for (;;) {
    await phoenix.isReborn();
    const answer = await attempt(phoenix.url(), plan);
    if (answer === "broken") continue;
    if (answer.status === 202) return String(answer.body["id"]);
    assert.ok(answer.status === 409 || answer.status === 503, `${answer.status} ${JSON.stringify(answer.body)}`);
    if (answer.status === 409) assert.equal(answer.body["code"], "request-in-flight");
    return { retryAfterMs: answer.retryAfterMs };
  }
}

async function attempt(url: string, { headers, body }: Plan) {
  try {
    const all = { ...headers, authorization: `Bearer ${TEST_KEY}`, "content-type": "application/json" };
    const response = await fetch(`${url}/v1/events`, { method: "POST", headers: all, body });
    const parsed = (await response.json()) as Readonly<Record<string, unknown>>;
    return { status: response.status, body: parsed, retryAfterMs: Number(response.headers.get("retry-after")) * 1000 };
  } catch {
    return "broken" as const;
  }
}

/** Ids that were answered 202, in no order. `onAcknowledged` gets their count as it grows. */
async function publishAll(phoenix: Phoenix, onAcknowledged: (count: number) => void): Promise<ReadonlySet<string>> {
  const acknowledged = new Set<string>();
  const put = (id: string): void => {
    assert.ok(!acknowledged.has(id), `two events were given the id ${id}`);
    acknowledged.add(id);
    onAcknowledged(acknowledged.size);
  };
  const waiting: Promise<void>[] = [];
  const later = async (plan: Plan, waitMs: number): Promise<void> => {
    await systemClock.sleep(waitMs, running);
    const result = await publish(phoenix, plan);
    if (typeof result === "string") put(result);
    else await later(plan, result.retryAfterMs);
  };
  const plans = Array.from({ length: EVENTS }, (_, index) => planOf(index)).values();
  const publisher = async (): Promise<void> => {
    for (const plan of plans) {
      const result = await publish(phoenix, plan);
      // The others go on meanwhile: the claim of a dead process lasts some seconds.
      if (typeof result === "string") put(result);
      else waiting.push(later(plan, result.retryAfterMs));
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
  await Promise.all(waiting);
  return acknowledged;
}

/** Seeded counts of acknowledged events, one in each stretch of the run. */
function killPoints(): Set<number> {
  const stretch = EVENTS / (KILLS - 1);
  return new Set(
    Array.from({ length: KILLS - 1 }, (_, at) => 1 + Math.floor((at + 0.9 * entropy.fraction()) * stretch)),
  );
}

async function untilDelivered(
  acknowledged: ReadonlySet<string>,
  counter: { timesById: ReadonlyMap<string, number>; arrivals: () => number },
): Promise<readonly string[]> {
  const missing = (): readonly string[] => [...acknowledged].filter((id) => !counter.timesById.has(id));
  let lost = missing();
  let last = { arrivals: counter.arrivals(), at: systemClock.monotonic() };
  while (lost.length > 0 && systemClock.monotonic() - last.at < PATIENCE_MS) {
    await systemClock.sleep(50, running);
    lost = missing();
    if (counter.arrivals() > last.arrivals) last = { arrivals: counter.arrivals(), at: systemClock.monotonic() };
  }
  return lost;
}

test(`every one of ${EVENTS} acknowledged events is delivered through ${KILLS} SIGKILLs`, async () => {
  using folder = openFolder();
  await using counter = await openCounter();
  await using phoenix = await openPhoenix(folder.path);
  assert.equal((await call(phoenix.url(), "/v1/endpoints", { url: counter.url })).status, 201);
  const startedAt = systemClock.monotonic();
  const points = killPoints();
  const kills: Promise<void>[] = [];
  const acknowledged = await publishAll(phoenix, (count) => {
    if (points.has(count)) kills.push(phoenix.kill());
  });
  kills.push(phoenix.kill());
  await Promise.all(kills);
  assert.equal(acknowledged.size, EVENTS);
  const lost = await untilDelivered(acknowledged, counter);
  const duplicates = [...counter.timesById.values()].reduce((sum, times) => sum + times - 1, 0);
  const unacknowledged = counter.timesById.size - acknowledged.size + lost.length;
  const seconds = ((systemClock.monotonic() - startedAt) / 1000).toFixed(1);
  console.log(
    `SEED=${seedText}: ${kills.length} kills, ${acknowledged.size} acknowledged, ${lost.length} lost, ${duplicates} duplicates, ${unacknowledged} delivered without an answer seen, ${seconds} s`,
  );
  assert.equal(kills.length, KILLS);
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} acknowledged events were not delivered`);
  // A kill can repeat what was in flight at the endpoint, and what had ended but was not yet committed with its batch.
  const perKill = PROCESSOR_LIMITS.inFlightMax;
  assert.ok(duplicates <= KILLS * perKill, `${duplicates} duplicates`);
  // Unknown to its publisher, at most one event per publisher and kill.
  assert.ok(unacknowledged <= KILLS * PUBLISHERS, `${unacknowledged} events nobody was told of`);
});
