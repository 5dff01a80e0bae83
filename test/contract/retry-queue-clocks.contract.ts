/** What every implementation of the port `retry-queue` promises of clocks that are set, and machines that sleep. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenHarness } from "./harness.ts";
import { assertNothingDue, memberIdsOf, takeDue, takenWithin } from "./harness.ts";
import { START_MS, sampleEnvelope, sampleScheduled } from "../support/samples.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export function retryQueueClocksContract(name: string, open: OpenHarness): void {
  /** One item of one event, `afterMs` after the start. */
  const after = (id: string, afterMs: number) =>
    sampleScheduled([sampleEnvelope(id)], { notBeforeMs: START_MS + afterMs });

  test(`${name} retry queue: after a step of the clock, or a sleep of the machine, what is due comes within a minute`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 3 * HOUR_MS)]);
    const taken = takeDue(harness);
    await harness.clock.settle();
    harness.clock.stepWall(4 * 3_600_000);
    await harness.clock.advance(61_000);
    assert.deepEqual(memberIdsOf(await taken), [["evt_a"]]);
  });

  test(`${name} retry queue: a clock that is set back lets nobody wait longer, and nothing come sooner`, async () => {
    await using harness = await open();
    const { clock, drivers } = harness;
    const deliverAtMs = START_MS + 12 * MINUTE_MS;
    const planned = { cause: "deliver-at", notBeforeMs: deliverAtMs, endpointId: null, attempt: 1 } as const;
    await drivers.retryQueue.schedule([
      after("evt_before", 10 * MINUTE_MS),
      after("evt_later", 13 * MINUTE_MS),
      sampleScheduled([sampleEnvelope("evt_at", { deliverAtMs })], planned),
    ]);
    const taken = takeDue(harness);
    await clock.advance(5 * MINUTE_MS);
    clock.stepWall(-HOUR_MS);
    await clock.advance(MINUTE_MS);
    await drivers.retryQueue.schedule([after("evt_since", -HOUR_MS + 17 * MINUTE_MS)]);
    assert.deepEqual(memberIdsOf(await takenWithin(harness, taken, 4 * MINUTE_MS)), [["evt_before"]]);
    assert.deepEqual(memberIdsOf(await takenWithin(harness, takeDue(harness), 3 * MINUTE_MS)), [["evt_later"]]);
    assert.deepEqual(memberIdsOf(await takenWithin(harness, takeDue(harness), 4 * MINUTE_MS)), [["evt_since"]]);
    await assertNothingDue(harness);
    clock.stepWall(HOUR_MS);
    const last = takeDue(harness);
    await clock.advance(2 * MINUTE_MS);
    assert.deepEqual(memberIdsOf(await last), [["evt_at"]]);
  });

  test(`${name} retry queue: what was handed out before the clock was set back, and is released since, is due at once`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 0)]);
    const held = await takeDue(harness);
    harness.clock.stepWall(-HOUR_MS);
    await harness.drivers.retryQueue.release(held);
    const [again] = await takeDue(harness);
    assert.deepEqual([again?.members[0]?.id, again?.isRepeat], ["evt_a", true]);
    await harness.drivers.retryQueue.ack(again === undefined ? [] : [again]);
    assert.equal((await harness.drivers.retryQueue.depth()).count, 0);
  });

  test(`${name} retry queue: after a step of the clock back an item comes when its wait is over, no millisecond sooner`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 5000)]);
    const taken = takeDue(harness);
    await harness.clock.settle();
    harness.clock.stepWall(-10_000);
    await harness.clock.advance(4999);
    let isTaken = false;
    void taken.then(() => (isTaken = true));
    await harness.clock.settle();
    assert.equal(isTaken, false);
    await harness.clock.advance(1);
    assert.deepEqual(memberIdsOf(await taken), [["evt_a"]]);
  });

  test(`${name} retry queue: after a step of the clock back, what is scheduled from then on comes on time`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_before", 600_000)]);
    const taken = takeDue(harness, 1);
    await harness.clock.advance(1000);
    harness.clock.stepWall(-HOUR_MS);
    const nowMs = harness.clock.now();
    const soon = [30_000, 90_000, 300_000].map((waitMs) =>
      sampleScheduled([sampleEnvelope(`evt_${waitMs}`)], { notBeforeMs: nowMs + waitMs }),
    );
    await harness.drivers.retryQueue.schedule(soon);
    await harness.clock.advance(31_000);
    assert.deepEqual(memberIdsOf(await taken), [["evt_30000"]]);
    await harness.clock.advance(330_000);
    assert.deepEqual(memberIdsOf(await takeDue(harness)), [["evt_90000"], ["evt_300000"]]);
    await harness.clock.advance(600_000 - 1000 - 31_000 - 330_000);
    assert.deepEqual(memberIdsOf(await takeDue(harness)), [["evt_before"]]);
  });
}
