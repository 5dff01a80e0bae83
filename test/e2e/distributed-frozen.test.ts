/**
 * One of two processors stands still (SIGSTOP), as a suspended machine does, for longer than any lease, and goes on. The other
 * takes over what it held of each lane while it stands. What it had in flight comes once more at most, nothing that the other
 * delivered comes again, no second attempt is made of what was answered, and no breaker opens.
 */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { planOf, publishAll } from "./load-under-kills.ts";

/**
 * Longer than a lease of the HIGH lane (30 s), a session of Kafka (6 s) and an attempt (15 s); in full, than the time in which
 * Kafka's groups take a member back (60 s), too.
 */
const { POSTHASTE_FULL: full, POSTHASTE_FROZEN_S: frozenS = full === "1" ? "60" : "40" } = process.env;
/** Published before it stands still, and while it does. */
const EVENTS = 1200;
const EVENTS_MEANWHILE = 300;
/** Each is sent events of one priority, and each priority has two of them. */
const ENDPOINTS = 6;
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;
/** How long an answer takes, so that many are awaited at any time. */
const ANSWER_MS = 1500;
/**
 * What `/metrics` says is kept for a second. What is under way for five is given to the retry queue as a copy, LOW's for 80 s:
 * on an idle machine one look is enough.
 */
const SCRAPED_MS = 1100;
const QUIET_WITHIN_MS = 12_000;
/** In which such a copy comes and is delivered. */
const TAKEN_OVER_WITHIN_MS = 110_000;
/** One event in so many is refused at its first attempt, by a status that speaks against no endpoint. */
const FAILING = 10;
const running = new AbortController().signal;

/**
 * Counts attempts by event, and by event and number of the attempt. The path of an endpoint is its number. From `hold` to
 * `release` nothing is answered.
 */
type SlowReceiver = Awaited<ReturnType<typeof openSlowReceiver>>;

async function openSlowReceiver() {
  const timesById = new Map<string, number>();
  const timesByAttempt = new Map<string, number>();
  const priorityById = new Map<string, string>();
  let arrivals = 0;
  let inHand = 0;
  let isHolding = false;
  const held: (() => void)[] = [];
  const add = (times: Map<string, number>, key: string): void => void times.set(key, (times.get(key) ?? 0) + 1);
  const receiver = await openReceiver((request: IncomingMessage, response: ServerResponse) => {
    const id = String(request.headers["webhook-id"]);
    const attempt = Number(request.headers["posthaste-attempt"]);
    arrivals += 1;
    add(timesByAttempt, `${id} ${attempt}`);
    priorityById.set(id, PRIORITIES[Number(request.url?.split("/").at(-1)) % PRIORITIES.length] ?? "");
    const isFailing = attempt === 1 && Number.parseInt(id.slice(-4), 36) % FAILING === 0;
    if (!isFailing) add(timesById, id);
    const answer = (): void => void response.writeHead(isFailing ? 404 : 200).end();
    inHand += 1;
    systemClock.timer(ANSWER_MS, () => {
      if (isHolding) held.push(answer);
      else answer();
    });
    response.once("close", () => (inHand -= 1));
  });
  return {
    ...receiver,
    timesById,
    timesByAttempt,
    priorityById,
    arrivals: () => arrivals,
    inHand: () => inHand,
    seen: (): ReadonlySet<string> => new Set(priorityById.keys()),
    hold: () => void (isHolding = true),
    release() {
      isHolding = false;
      for (const answer of held.splice(0)) answer();
    },
  };
}

/** Attempts in flight in all of these processors, as they say themselves. */
async function inFlightOf(processors: DistributedHarness["processors"]): Promise<number> {
  const texts = await Promise.all(processors.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const samples = texts.flatMap((text) => [...text.matchAll(/^posthaste_delivery_in_flight\{[^}]*\} (\d+)/gm)]);
  return samples.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Resolves when no answer is under way and the receiver has all that the processors have handed to their HTTP clients. */
async function untilAllIsRead(receiver: SlowReceiver, processors: DistributedHarness["processors"]): Promise<void> {
  await waitFor({
    fact: "the receiver to have all that is in flight",
    withinMs: QUIET_WITHIN_MS,
    async holds() {
      const before = receiver.arrivals();
      await systemClock.sleep(SCRAPED_MS, running);
      const isRead = (await inFlightOf(processors)) === receiver.inHand();
      return isRead && before === receiver.arrivals();
    },
  });
}

async function untilNoneArrives(receiver: SlowReceiver): Promise<void> {
  await waitFor({
    fact: "no request to arrive",
    withinMs: QUIET_WITHIN_MS,
    async holds() {
      const before = receiver.arrivals();
      await systemClock.sleep(SCRAPED_MS, running);
      return before === receiver.arrivals();
    },
  });
}

async function hasNonePending({ ask }: DistributedHarness): Promise<boolean> {
  const { status, body } = await ask(0, "/v1/events?state=pending&limit=1");
  assert.equal(status, 200, JSON.stringify(body));
  return (body as { readonly data: readonly unknown[] }).data.length === 0;
}

test(`a processor that stood still for ${frozenS} s repeats what it had in flight at most once`, async () => {
  await using receiver = await openSlowReceiver();
  await using harness = await openDistributedHarness({ gateways: 1, processors: 2 });
  const [gateway] = harness.gateways;
  const [, frozen] = harness.processors;
  assert.ok(gateway !== undefined && frozen !== undefined);
  for (let at = 0; at < ENDPOINTS; at++) {
    const body = { url: `${receiver.url}/${at}`, event_types: [`load.${at}`], retry: { delays_s: [0, 3, 3, 3] } };
    const created = await harness.ask(0, "/v1/endpoints", body);
    assert.equal(created.status, 201, JSON.stringify(created.body));
  }
  const target = { url: () => gateway.url, isUp: () => Promise.resolve(), key: harness.operatorKey };
  const publish = (from: number, count: number): Promise<ReadonlySet<string>> => {
    const plans = Array.from({ length: count }, (_, at) => planOf(from + at, `load.${(from + at) % ENDPOINTS}`));
    return publishAll(target, plans.values(), () => undefined);
  };
  const before = await publish(0, EVENTS);
  while (receiver.arrivals() < EVENTS / 4) await systemClock.sleep(10, running);
  // On a busy machine requests lie in the clients of the processors for seconds, and are in flight: the receiver is to know them.
  receiver.hold();
  await untilAllIsRead(receiver, harness.processors);
  process.kill(frozen.pid, "SIGSTOP");
  // What it wrote last lies in the sockets.
  await untilNoneArrives(receiver);
  const stood = receiver.seen();
  receiver.release();
  const standing = systemClock.sleep(Number(frozenS) * 1000, running);
  const all = before.union(await publish(EVENTS, EVENTS_MEANWHILE));
  await standing;
  // Recorded, too: what the other one has in flight when this one goes on, neither can tell from what was never sent.
  await waitFor({
    fact: "the other one to deliver all that the frozen one held, and to record it",
    withinMs: TAKEN_OVER_WITHIN_MS,
    holds: async () => [...all].every((id) => receiver.timesById.has(id)) && (await hasNonePending(harness)),
  });
  process.kill(frozen.pid, "SIGCONT");
  // What the thawed one still means to send, retries of three seconds among it, comes within this.
  await systemClock.sleep(12_000, running);
  const most = (times: ReadonlyMap<string, number>) => [...times].filter(([, count]) => count > 2);
  const twice = [...receiver.timesById].filter(([, count]) => count === 2).map(([id]) => id);
  const byPriority = PRIORITIES.map((priority) => {
    return `${twice.filter((id) => receiver.priorityById.get(id) === priority).length} ${priority}`;
  });
  const oftener = most(receiver.timesById).length;
  console.log(`${byPriority.join(", ")} of ${all.size} came twice, ${oftener} more often`);
  assert.deepEqual(most(receiver.timesById), []);
  assert.deepEqual(most(receiver.timesByAttempt), []);
  assert.deepEqual(
    twice.filter((id) => !stood.has(id)),
    [],
    "what was not in flight when it stood still comes once",
  );
  for (const processor of harness.processors) {
    assert.doesNotMatch(processor.printed(), /"event":"breaker\.open/);
    assert.equal((await fetch(`${processor.url}/readyz`)).status, 200);
  }
});
