/** An endpoint that is down for good: what waits for it ends with its schedule, and not with the last of a few shared probes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_RETRY_POLICY, scheduleMsMax } from "@posthaste/shared/domain/retry-policy.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import type { RetryPolicy } from "@posthaste/shared/domain/retry-policy.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, endpointOf, envelopeOf, ids } from "../../support/samples.ts";

const HOUR_MS = 3_600_000;
const STEP_MS = 10 * 60_000;
const EVENTS = 300;
/** Most are given up by then; a few wait for a retry that was planned before. */
const MOST = 0.8;
/** Three attempts within three hours. */
const SHORT: RetryPolicy = { delays_s: [0, 3600, 7200] };

async function open(parts: Partial<Endpoint> = {}): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: SHORT, ...parts }));
  harness.world.script("ep1", () => ({ status: 500 }));
  return harness;
}

async function publish(harness: ProcessorHarness, count = EVENTS): Promise<void> {
  await harness.publish(...ids("evt_", count).map((id) => ({ ...envelopeOf(id), acceptedAtMs: harness.clock.now() })));
}

/** Lets so much time pass, in steps that let everybody have his turn. */
async function pass(harness: ProcessorHarness, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) await harness.clock.advance(Math.min(left, STEP_MS));
}

const delivered = (harness: ProcessorHarness): number =>
  new Set(harness.world.sent.filter(({ atMs }) => atMs >= START_MS).map((each) => each.headers["webhook-id"])).size;

async function deadReasons(harness: ProcessorHarness): Promise<readonly string[]> {
  const { rows } = await harness.drivers.deadLetters.list({ tenant: null, state: "dead" }, 1000, null);
  return rows.map(({ reason }) => reason);
}

// With fewer events each has more of the probes, and more wait for a retry that is planned a day ahead.
for (const [name, retry, count, tailMs] of [
  ["of its own", SHORT, EVENTS, HOUR_MS],
  ["that is the default", null, 150, 30 * HOUR_MS],
] as const) {
  test(`down for good: with a schedule ${name} all are dead, most of them soon after its end, each with a reason and its attempts`, async () => {
    await using harness = await open({ retry });
    harness.start({ limits: { disableAfterMs: 100 * 24 * HOUR_MS } });
    await publish(harness, count);
    const scheduleMs = scheduleMsMax(retry ?? DEFAULT_RETRY_POLICY);
    await pass(harness, scheduleMs - HOUR_MS);
    const early = await deadReasons(harness);
    assert.ok(
      early.every((reason) => reason.endsWith("was the last")),
      early.join("\n"),
    );
    assert.ok(early.length < count / 4, `${early.length} had all of their attempts before`);
    await pass(harness, HOUR_MS + tailMs);
    const soon = (await deadReasons(harness)).length;
    assert.ok(soon >= MOST * count, String(soon));
    await pass(harness, scheduleMs);
    const reasons = await deadReasons(harness);
    assert.equal(reasons.length, count);
    const attempts = (retry ?? DEFAULT_RETRY_POLICY) === SHORT ? 3 : 10;
    const givenUp = new RegExp(
      `^the endpoint kept failing for longer than the whole retry schedule; attempt \\d+ of ${attempts} was not made$`,
    );
    assert.ok(
      reasons.every((reason) => givenUp.test(reason) || reason.endsWith("was the last")),
      reasons.join("\n"),
    );
    assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: count });
  });
}

test("back before the end of the schedule: everything arrives", async () => {
  await using harness = await open({ retry: null });
  harness.start();
  await publish(harness, 60);
  await pass(harness, scheduleMsMax(DEFAULT_RETRY_POLICY) - HOUR_MS);
  const over = (await deadReasons(harness)).length;
  harness.world.script("ep1", () => ({ status: 200 }));
  await pass(harness, 26 * HOUR_MS);
  assert.equal((await deadReasons(harness)).length, over);
  assert.equal((await harness.depths()).retry, 0);
  assert.equal(delivered(harness), 60);
});

test("a process that has just started gives nothing up before it has seen the endpoint fail for an hour", async () => {
  await using harness = await open();
  harness.start();
  await publish(harness);
  await pass(harness, 3 * HOUR_MS);
  harness.crash();
  await pass(harness, 24 * HOUR_MS);
  const before = (await deadReasons(harness)).length;
  harness.start();
  await pass(harness, HOUR_MS - STEP_MS);
  const since = (await deadReasons(harness)).slice(0, -before || undefined);
  assert.ok(
    since.every((reason) => reason.endsWith("was the last")),
    since.join("\n"),
  );
  harness.world.script("ep1", () => ({ status: 200 }));
  await pass(harness, 6 * HOUR_MS);
  assert.equal((await harness.depths()).retry, 0);
});

test("one success in the last hour, and nothing that waits is given up, however old it is", async () => {
  await using harness = await open();
  harness.start();
  let nth = 0;
  // Well once in about three quarters of an hour.
  harness.world.script("ep1", ({ atMs }) => {
    const isWell = atMs - START_MS > ++nth * 45 * 60_000;
    nth -= isWell ? 0 : 1;
    return { status: isWell ? 200 : 500 };
  });
  await publish(harness);
  await pass(harness, 24 * HOUR_MS);
  const reasons = await deadReasons(harness);
  assert.ok(
    reasons.every((reason) => reason.endsWith("was the last")),
    reasons.join("\n"),
  );
});

test("what was paused for longer than its schedule has all of it from the resume on", async () => {
  await using harness = await open({ status: "paused" });
  harness.start();
  await publish(harness);
  await pass(harness, 48 * HOUR_MS);
  await harness.change("ep1", { status: "active", updatedAtMs: harness.clock.now() });
  await pass(harness, scheduleMsMax(SHORT) - HOUR_MS);
  const early = await deadReasons(harness);
  assert.ok(
    early.every((reason) => reason.endsWith("was the last")),
    early.join("\n"),
  );
  harness.world.script("ep1", () => ({ status: 200 }));
  await pass(harness, 4 * HOUR_MS);
  assert.equal((await deadReasons(harness)).length, early.length);
  assert.equal(delivered(harness), EVENTS);
});

test("who asked for a long silence and was asked by nobody since is asked once more, however old the event is", async () => {
  await using harness = await open();
  harness.world.script("ep1", (_request, count) =>
    count === 1 ? { status: 503, retryAfter: String(48 * 3600) } : { status: 200 },
  );
  harness.start();
  await publish(harness, 1);
  await pass(harness, 49 * HOUR_MS);
  assert.equal((await harness.delivery("evt_0", "ep1"))?.state, "delivered");
});

for (const [name, plan] of [
  ["a replay of an old event", { cause: "replay", isDelayed: false }],
  ["an event whose deliver_at has come", { cause: "deliver-at", isDelayed: true }],
] as const) {
  test(`${name} has its schedule from then on`, async () => {
    await using harness = await open();
    await pass(harness, 48 * HOUR_MS);
    harness.start();
    const nowMs = harness.clock.now();
    const isReplay = plan.cause === "replay";
    const envelopes = ids("evt_", EVENTS).map((id) => ({
      ...envelopeOf(id),
      acceptedAtMs: START_MS,
      deliverAtMs: plan.isDelayed ? nowMs : null,
    }));
    const endpointId = isReplay ? "ep1" : null;
    const at = { cause: plan.cause, notBeforeMs: nowMs, endpointId, generation: isReplay ? nowMs : 0, attempt: 1 };
    await harness.drivers.retryQueue.schedule(envelopes.map((envelope) => scheduledEvent(envelope, at)));
    await pass(harness, scheduleMsMax(SHORT) - HOUR_MS);
    const early = await deadReasons(harness);
    assert.ok(early.length < EVENTS / 4 && early.every((reason) => reason.endsWith("was the last")), early.join("\n"));
    await pass(harness, 2 * HOUR_MS);
    assert.ok((await deadReasons(harness)).length >= MOST * EVENTS);
  });
}

test("a delivery that comes late by plan, at an endpoint that is down for long, is tried for another hour at least", async () => {
  await using harness = await open();
  harness.start();
  await publish(harness);
  await pass(harness, 24 * HOUR_MS);
  const before = await deadReasons(harness);
  assert.equal(before.length, EVENTS);
  const late = envelopeOf("evt_late");
  const plan = {
    cause: "replay",
    notBeforeMs: harness.clock.now(),
    endpointId: "ep1",
    generation: 1,
    attempt: 1,
  } as const;
  // Others wait as well, so that the probes are not its own.
  const others = ids("evt_other", 20);
  await harness.publish(...others.map((id) => ({ ...envelopeOf(id), acceptedAtMs: harness.clock.now() })));
  await harness.drivers.retryQueue.schedule([scheduledEvent(late, plan)]);
  await pass(harness, HOUR_MS - STEP_MS);
  const { rows } = await harness.drivers.deadLetters.list({ tenant: null, eventId: "evt_late" }, 10, null);
  assert.deepEqual(rows, []);
  await pass(harness, 4 * HOUR_MS);
  assert.equal(
    (await harness.drivers.deadLetters.list({ tenant: null, eventId: "evt_late" }, 10, null)).rows.length,
    1,
  );
});
