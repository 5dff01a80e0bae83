/** What was deferred comes back when its endpoint answers, in both kinds of retry queue, and not at a time that was a guess. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { HOUR_MS, openBroker, openLife } from "../../drivers/partitioned/delay-topics-harness.ts";
import { seededEntropy } from "../../support/ambient.ts";
import type { ProcessorHarness, Reply } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, endpointOf, envelopeOf, ids } from "../../support/samples.ts";

const EVENTS = 300;
const PARTITIONS = 6;
/** A second between attempts, so that the schedule of retries hides nothing. */
const QUICK = { delays_s: Array.from({ length: 50 }, (_, index) => (index === 0 ? 0 : 1)) };

type Queue = "SQLite" | "delay topics";

interface Told {
  /** Seconds from the publication until the last event was delivered. */
  lastS: number;
  attempts: number;
  deferrals: number;
}

async function startOn(queue: Queue, harness: ProcessorHarness, told: Told): Promise<void> {
  const broker = await openBroker(harness.clock, PARTITIONS, 48 * HOUR_MS);
  const delayTopics = queue === "SQLite" ? null : (await openLife(broker, harness.clock)).delayTopics;
  harness.clock.stepWall(START_MS - harness.clock.now());
  harness.start({
    wrap: (drivers) => {
      const retryQueue = delayTopics ?? drivers.retryQueue;
      const schedule: typeof retryQueue.schedule = (items) => {
        told.deferrals += items.filter(({ cause }) => cause === "parked").length;
        return retryQueue.schedule(items);
      };
      return { ...drivers, retryQueue: { ...retryQueue, schedule } };
    },
  });
}

/** Publishes all at once, and lets time pass until each event was answered with 200. */
async function deliverAll(queue: Queue, lane: Lane, reply: (atMs: number) => Reply): Promise<Told> {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: QUICK }));
  const told: Told = { lastS: 0, attempts: 0, deferrals: 0 };
  const left = new Set(ids("evt_", EVENTS));
  harness.world.script("ep1", ({ headers, atMs }) => {
    told.attempts += 1;
    const answer = reply(atMs - START_MS);
    const isGood = typeof answer === "object" && "status" in answer && answer.status === 200;
    if (isGood && left.delete(headers["webhook-id"] ?? "")) told.lastS = (atMs - START_MS) / 1000;
    return answer;
  });
  await startOn(queue, harness, told);
  await harness.publish(...ids("evt_", EVENTS).map((id) => envelopeOf(id, lane)));
  while (left.size > 0 && harness.clock.now() - START_MS < 3 * HOUR_MS) await harness.clock.advance(1000);
  assert.equal(left.size, 0);
  return told;
}

for (const queue of ["SQLite", "delay topics"] as const) {
  for (const lane of ["high", "medium", "low"] as const) {
    const of = `${EVENTS} events of ${lane} on ${queue}`;

    // The probes are due after 10, 30 and 70 s.
    for (const [what, reply] of [
      ["fails", { status: 500 }],
      ["hangs", "hang"],
    ] as const) {
      test(`${of}: an endpoint that ${what} for 45 s has them all soon after its probe`, async () => {
        const told = await deliverAll(queue, lane, (atMs) => (atMs < 45_000 ? reply : { status: 200 }));
        assert.ok(told.lastS <= 78, JSON.stringify(told));
      });
    }

    test(`${of}: an endpoint that fails for five minutes has them all soon after its probe at 310 s`, async () => {
      const told = await deliverAll(queue, lane, (atMs) => (atMs < 300_000 ? { status: 503 } : { status: 200 }));
      assert.ok(told.lastS <= 315, JSON.stringify(told));
    });

    test(`${of}: an endpoint that fails half of its attempts has them all within two minutes`, async () => {
      for (let seed = 1; seed <= 4; seed++) {
        const chance = seededEntropy(seed);
        const told = await deliverAll(queue, lane, () => ({ status: chance.fraction() < 0.5 ? 500 : 200 }));
        assert.ok(told.lastS <= 120, `seed ${seed}: ${JSON.stringify(told)}`);
        assert.ok(told.deferrals <= 6 * EVENTS, `seed ${seed}: ${JSON.stringify(told)}`);
      }
    });

    test(`${of}: an endpoint that takes 5 s for each gets more at once, up to its share`, async () => {
      const told = await deliverAll(queue, lane, () => ({ status: 200, afterMs: 5000 }));
      assert.ok(told.lastS <= (lane === "low" ? 60 : 30), JSON.stringify(told));
      assert.equal(told.attempts, EVENTS);
    });
  }
}

test("what a process deferred comes back to the next one when the endpoint answers", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: QUICK }));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start();
  await harness.publish(...ids("evt_", EVENTS).map((id) => envelopeOf(id)));
  await harness.clock.advance(200_000);
  harness.crash();
  harness.world.script("ep1", () => ({ status: 200 }));
  harness.start();
  await harness.publish(envelopeOf("evt_new"));
  await harness.clock.advance(2000);
  const sent = new Set(
    harness.world.sent.filter(({ atMs }) => atMs >= START_MS + 200_000).map((each) => each.headers["webhook-id"]),
  );
  assert.equal(sent.size, EVENTS + 1);
});

test("an endpoint that is down for three hours is asked seldom, and defers each event as often as ever", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: QUICK }));
  harness.world.script("ep1", () => ({ status: 500 }));
  const told: Told = { lastS: 0, attempts: 0, deferrals: 0 };
  await startOn("SQLite", harness, told);
  await harness.publish(...ids("evt_", EVENTS).map((id) => envelopeOf(id)));
  await harness.clock.advance(3 * HOUR_MS);
  assert.ok(told.deferrals <= 14 * EVENTS, String(told.deferrals / EVENTS));
  assert.ok(harness.world.sent.length <= 70, String(harness.world.sent.length));
});
