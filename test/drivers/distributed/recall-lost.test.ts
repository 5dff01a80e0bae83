/** What is planned again when a topic was deleted, and what an operator is told of it; on the ledger of the Redis model. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recallLost } from "@posthaste/shared/drivers/distributed/recall-lost.ts";
import type { Priority } from "@posthaste/shared/domain/event.ts";
import type { ScheduleResult, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import { openFaultyHarness } from "../../contract/distributed-harness.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";

const PRIORITIES: readonly Priority[] = ["MEDIUM", "MEDIUM", "MEDIUM", "LOW", "HIGH"];

/** Three events of MEDIUM wait, one of LOW and one of HIGH; the queue takes `room` items. */
async function openStand(room = Infinity) {
  const set = await openFaultyHarness((log) => log);
  const envelopes = PRIORITIES.map((priority, at) => sampleEnvelope(`e${at}`, { priority }));
  const appending = set.drivers.lanes.append(envelopes);
  await set.clock.settle();
  await appending;
  const planned: Scheduled[] = [];
  const retryQueue = {
    schedule(items: readonly Scheduled[]): Promise<ScheduleResult> {
      if (planned.length + items.length > room) return Promise.resolve({ kind: "full", retryAfterS: 1 });
      planned.push(...items);
      return Promise.resolve({ kind: "scheduled" });
    },
  };
  return {
    planned,
    async recall(topic: string, sinceMs = NaN): Promise<string> {
      await set.clock.advance(1000);
      const telling = recallLost(
        { ledger: set.drivers.ledger, clock: set.clock, retryQueue },
        { topic, sinceMs },
        new AbortController().signal,
      );
      await set.clock.advance(1);
      return await telling;
    },
    [Symbol.asyncDispose]: () => set[Symbol.asyncDispose](),
  };
}

test("of a lane's topic its own events are planned again, as copies that ask the ledger", async () => {
  await using stand = await openStand();
  assert.match(await stand.recall("medium"), /medium was deleted .* planned again: 3 copies\.$/);
  assert.deepEqual(new Set(stand.planned.map(({ members }) => members[0]?.id)), new Set(["e0", "e1", "e2"]));
  assert.ok(stand.planned.every(({ cause, endpointId }) => cause === "relieved" && endpointId === null));
});

test("of a topic of retries all that is pending is planned again", async () => {
  await using stand = await openStand();
  assert.match(await stand.recall("retry.1m"), /5 copies\.$/);
});

test("of a topic that no event waits in, nothing is", async () => {
  await using stand = await openStand();
  assert.match(await stand.recall("attempts"), /attempts was deleted .* made again, empty\.$/);
  assert.equal(stand.planned.length, 0);
});

test("what finds no room in the retry queue is told, with the remedy", async () => {
  await using stand = await openStand(2);
  assert.match(await stand.recall("medium"), /2 copies\. No more of them find room\. .*resend/);
});

test("what was accepted after the topic was there again is not planned", async () => {
  await using stand = await openStand();
  assert.match(await stand.recall("medium", START_MS - 3600_000), /planned again: 0 copies\.$/);
  assert.match(await stand.recall("medium", START_MS), /planned again: 3 copies\.$/);
});
