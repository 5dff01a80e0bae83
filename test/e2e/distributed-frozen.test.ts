/**
 * One of two processors stands still (SIGSTOP), as a suspended machine does, for longer than any lease, and goes on. What
 * it had in flight comes once more at most, no second attempt is made of what was answered, and no breaker opens.
 */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { planOf, publishAll, untilDelivered } from "./load-under-kills.ts";

/** Longer than a lease of the HIGH lane (30 s), a session of Kafka (6 s) and an attempt (15 s). */
const { POSTHASTE_FROZEN_S: frozenS = "40" } = process.env;
const EVENTS = 1200;
const ENDPOINTS = 6;
/** How long an answer takes, so that many are awaited at any time. */
const ANSWER_MS = 1500;
/** One event in so many is refused at its first attempt, by a status that speaks against no endpoint. */
const FAILING = 10;
const running = new AbortController().signal;

/** Counts attempts by event, and by event and number of the attempt. */
async function openSlowReceiver() {
  const timesById = new Map<string, number>();
  const timesByAttempt = new Map<string, number>();
  let arrivals = 0;
  const add = (times: Map<string, number>, key: string): void => void times.set(key, (times.get(key) ?? 0) + 1);
  const receiver = await openReceiver((request: IncomingMessage, response: ServerResponse) => {
    const id = String(request.headers["webhook-id"]);
    const attempt = Number(request.headers["posthaste-attempt"]);
    arrivals += 1;
    add(timesByAttempt, `${id} ${attempt}`);
    const isFailing = attempt === 1 && Number.parseInt(id.slice(-4), 36) % FAILING === 0;
    if (!isFailing) add(timesById, id);
    systemClock.timer(ANSWER_MS, () => response.writeHead(isFailing ? 404 : 200).end());
  });
  return { ...receiver, timesById, timesByAttempt, arrivals: () => arrivals };
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
  const plans = Array.from({ length: EVENTS }, (_, index) => planOf(index, `load.${index % ENDPOINTS}`));
  const target = { url: () => gateway.url, isUp: () => Promise.resolve(), key: harness.operatorKey };
  const ids = await publishAll(target, plans.values(), () => undefined);
  while (receiver.arrivals() < EVENTS / 4) await systemClock.sleep(10, running);
  process.kill(frozen.pid, "SIGSTOP");
  await systemClock.sleep(Number(frozenS) * 1000, running);
  process.kill(frozen.pid, "SIGCONT");
  assert.deepEqual(await untilDelivered(ids, receiver), []);
  // What the thawed one still means to send, retries of three seconds among it, comes within this.
  await systemClock.sleep(12_000, running);
  const most = (times: ReadonlyMap<string, number>) => [...times].filter(([, count]) => count > 2);
  const twice = [...receiver.timesById.values()].filter((count) => count === 2).length;
  console.log(`${twice} of ${EVENTS} came twice, ${most(receiver.timesById).length} more often`);
  assert.deepEqual(most(receiver.timesById), []);
  assert.deepEqual(most(receiver.timesByAttempt), []);
  for (const processor of harness.processors) {
    assert.doesNotMatch(processor.printed(), /"event":"breaker\.open/);
    assert.equal((await fetch(`${processor.url}/readyz`)).status, 200);
  }
});
