/**
 * Promise 1 on the real thing: what was answered 202 is delivered, whenever the process is killed. Publishers, a real
 * `serve` child over one folder, a receiver; SIGKILL at seeded points of the run, in the middle of whatever is under way.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";

import { seededEntropy } from "../support/ambient.ts";
import { openCounter, planOf, publishAll, PUBLISHERS, untilDelivered } from "./load-under-kills.ts";
import type { Serving } from "./posthaste-child.ts";
import { call, openFolder, startServe, TEST_KEY } from "./posthaste-child.ts";

const isFull = process.env["POSTHASTE_FULL"] === "1";
const { POSTHASTE_SIGKILL_EVENTS: eventsText = isFull ? "10000" : "5000", SEED: seedText = "1" } = process.env;
const EVENTS = Number(eventsText);
const entropy = seededEntropy(Number(seedText));
/** While events are published, and once more while only deliveries are under way. */
const KILLS = 6;
/** A kill falls this long after its point at most, so that it hits any moment between two commits. */
const KILL_JITTER_MS = 20;
const running = new AbortController().signal;

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
    key: TEST_KEY,
    isUp: () => rebirth,
    kill(): Promise<void> {
      order = order.then(killSoon);
      return order;
    },
    [Symbol.asyncDispose]: () => serving[Symbol.asyncDispose](),
  };
}
/** Seeded counts of acknowledged events, one in each stretch of the run. */
function killPoints(): Set<number> {
  const stretch = EVENTS / (KILLS - 1);
  return new Set(
    Array.from({ length: KILLS - 1 }, (_, at) => 1 + Math.floor((at + 0.9 * entropy.fraction()) * stretch)),
  );
}

test(`every one of ${EVENTS} acknowledged events is delivered through ${KILLS} SIGKILLs`, async () => {
  using folder = openFolder();
  await using counter = await openCounter();
  await using phoenix = await openPhoenix(folder.path);
  assert.equal((await call(phoenix.url(), "/v1/endpoints", { url: counter.url })).status, 201);
  const startedAt = systemClock.monotonic();
  const points = killPoints();
  const kills: Promise<void>[] = [];
  const plans = Array.from({ length: EVENTS }, (_, index) => planOf(index)).values();
  const acknowledged = await publishAll(phoenix, plans, (count) => {
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
