/** Name servers that do not answer: no attempt is used, nothing is lost, nobody else waits, and it ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { UNMADE_MAX } from "@posthaste/shared/domain/outcome.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import type { RetryItem } from "@posthaste/shared/ports/retry-queue.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, endpointOf, envelopeOf } from "../../support/samples.ts";

const LOOK_UP_MS = 5000;
/** As the transport answers while it remembers that there was no answer. */
const AT_ONCE = { unresolvedAfterMs: 0 };

/** What lies in the retry queue, whenever it is due; the processor that runs gets nothing of it any more. */
async function takeAll(harness: ProcessorHarness): Promise<readonly RetryItem[]> {
  harness.crash();
  harness.clock.stepWall(24 * 3_600_000);
  const taking = harness.drivers.retryQueue.take(10, new AbortController().signal);
  await harness.clock.settle();
  harness.clock.stepWall(-24 * 3_600_000);
  return taking;
}

/** So many endpoints of one tenant with zones that never answer, and events for all of them. */
async function addSilent(harness: ProcessorHarness, count: number, eventCount: number): Promise<void> {
  for (let nth = 0; nth < count; nth++) {
    await harness.add(endpointOf(`silent${nth}`, { tenant: "silent" }));
    harness.world.script(`silent${nth}`, () => ({ unresolvedAfterMs: LOOK_UP_MS }));
  }
  for (let nth = 0; nth < eventCount; nth++) {
    await harness.publish(envelopeOf(`evt_silent${nth}`, "high", { tenant: "silent", directoryVersion: count }));
  }
}

test("a look-up without an answer uses no attempt: the ledger shows none, and the first one is made later", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0] } }));
  let isAway = true;
  harness.world.script("ep1", () => (isAway ? AT_ONCE : { status: 200 }));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  const waiting = await harness.delivery("evt_1", "ep1");
  assert.deepEqual([waiting?.state, waiting?.attempts], ["pending", 0]);
  assert.equal(waiting?.reason, "waits: no name server answered for the endpoint's host");
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 1, dead: 0 });
  await harness.clock.advance(120_000);
  isAway = false;
  await harness.clock.advance(3_600_000);
  assert.deepEqual(
    harness.world.sent.map(({ headers }) => headers["posthaste-attempt"]),
    ["1"],
  );
  assert.equal((await harness.delivery("evt_1", "ep1"))?.state, "delivered");
});

test("deferrals for the endpoint's sake leave the look-ups without an answer their own bound", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => AT_ONCE);
  harness.start();
  const plan = { cause: "parked", notBeforeMs: START_MS, endpointId: "ep1", generation: 0, attempt: 1 } as const;
  const deferred = scheduledEvent(envelopeOf("evt_1"), { ...plan, deferrals: 2 * UNMADE_MAX });
  await harness.drivers.retryQueue.schedule([deferred]);
  await harness.clock.advance(1000);
  const waiting = await harness.delivery("evt_1", "ep1");
  assert.deepEqual([waiting?.state, waiting?.attempts], ["pending", 0]);
  const [item] = await takeAll(harness);
  assert.deepEqual([item?.deferrals, item?.unmade, item?.putAside], [2 * UNMADE_MAX, 1, 0]);
  const waitMs = (item?.notBeforeMs ?? Infinity) - harness.clock.now();
  assert.ok(waitMs < 2 * PROCESSOR_LIMITS.deferMs, `its first wait of this kind, not its forty-ninth: ${waitMs} ms`);
});

test("it opens no breaker: what comes when the name servers are back goes at once, and its answer calls the others", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => AT_ONCE);
  harness.start();
  for (let nth = 0; nth < 20; nth++) await harness.publish(envelopeOf(`evt_${nth}`));
  await harness.clock.advance(1000);
  harness.world.script("ep1", () => ({ status: 200 }));
  await harness.publish(envelopeOf("evt_late"));
  await harness.clock.advance(1000);
  assert.equal(harness.world.idsTo("ep1")[0], "evt_late");
  assert.equal(new Set(harness.world.idsTo("ep1")).size, 21);
});

test("one delivery asks a few times an hour, and is put off for longer each time", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const askedAtMs: number[] = [];
  harness.world.script("ep1", (_request) => {
    askedAtMs.push(harness.clock.now() - START_MS);
    return AT_ONCE;
  });
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(3_600_000);
  assert.ok(askedAtMs.length >= 5 && askedAtMs.length <= 12, `asked at ${askedAtMs.join(", ")} ms`);
  const waits = askedAtMs.slice(1).map((atMs, index) => atMs - (askedAtMs[index] ?? 0));
  assert.ok(
    waits.every((waitMs) => waitMs >= PROCESSOR_LIMITS.deferMs),
    `waited ${waits.join(", ")} ms`,
  );
});

test("a zone that never answers ends as a dead letter with the reason, after a bounded number of look-ups", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0] } }));
  let asked = 0;
  harness.world.script("ep1", () => {
    asked += 1;
    return AT_ONCE;
  });
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(24 * 3_600_000);
  assert.equal(asked, UNMADE_MAX + 1);
  const dead = await harness.delivery("evt_1", "ep1");
  assert.equal(dead?.state, "dead");
  assert.match(dead.reason ?? "", /^resolver: .*attempt 1 of 1 was the last$/);
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 1 });
});

test("past an endpoint's bound what is put off goes to the dead-letter record, and comes back from there", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  let isAway = true;
  harness.world.script("ep1", () => (isAway ? AT_ONCE : { status: 200 }));
  harness.start({ limits: { backlogMax: 2 } });
  for (let nth = 0; nth < 4; nth++) await harness.publish(envelopeOf(`evt_${nth}`));
  await harness.clock.advance(100);
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 2, dead: 2 });
  isAway = false;
  await harness.clock.advance(2 * 3_600_000);
  assert.equal(new Set(harness.world.idsTo("ep1")).size, 4);
});

for (const lane of ["high", "medium", "low"] as const) {
  test(`beside sixty endpoints on silent zones another tenant's ${lane} event goes at once`, async () => {
    await using harness = await openProcessorHarness();
    await addSilent(harness, 60, 5);
    await harness.add(endpointOf("ep1"));
    harness.start();
    await harness.clock.advance(100);
    const publishedAtMs = harness.clock.now();
    await harness.publish(envelopeOf("evt_1", lane));
    await harness.clock.advance(50);
    assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
    assert.ok((harness.world.sent[0]?.atMs ?? Infinity) - publishedAtMs <= 50);
  });
}

test("a stop ends sixty look-ups at once; what waited is handed out again by the next process", async () => {
  await using harness = await openProcessorHarness();
  await addSilent(harness, 60, 1);
  const processor = harness.start();
  await harness.clock.advance(100);
  assert.ok((await harness.stop(processor)) <= 100);
  assert.equal((await harness.depths()).high, 1);
  harness.crash();
  for (let nth = 0; nth < 60; nth++) harness.world.script(`silent${nth}`, () => ({ status: 200 }));
  harness.start();
  await harness.clock.advance(60_000);
  assert.equal(harness.world.sent.length, 60);
});

test("a machine without sockets uses no attempt and opens no breaker: all arrive at the first attempt", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0] } }));
  let isShort = true;
  harness.world.script("ep1", () => (isShort ? "exhausted" : { status: 200 }));
  harness.start();
  for (let nth = 0; nth < 20; nth++) await harness.publish(envelopeOf(`evt_${nth}`));
  await harness.clock.advance(1000);
  assert.equal(
    (await harness.delivery("evt_0", "ep1"))?.reason,
    "waits: this machine had no socket, port or memory left",
  );
  isShort = false;
  await harness.clock.advance(120_000);
  assert.deepEqual(new Set(harness.world.sent.map(({ headers }) => headers["posthaste-attempt"])), new Set(["1"]));
  assert.equal(new Set(harness.world.idsTo("ep1")).size, 20);
});
