/** What the retry queue on the log keeps in memory in the order of time: no more than it has, whatever is called back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DelayedEntry, DelayPartition } from "@posthaste/shared/drivers/partitioned/delay-topics/partition.ts";
import { createRelayQueue } from "@posthaste/shared/drivers/partitioned/delay-topics/relay-queue.ts";
import { createTurns } from "@posthaste/shared/drivers/partitioned/delay-topics/turns.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEnvelope, sampleScheduled } from "../../support/samples.ts";

const MINUTE_MS = 60_000;
const COUNT = 20_000;
const home = { isLost: false } as DelayPartition;
const item = sampleScheduled([sampleEnvelope("evt_a")]);

function entryAt(sequence: number, atMs: number): DelayedEntry {
  const times = { relayAtMs: atMs, notBeforeMs: atMs };
  const state = { isOut: false, isLast: false, isRepeat: null };
  return { home, offset: sequence, sequence, relays: 0, item, ...times, ...state };
}

test("turns: who is called back has its new turn alone, and the former ones do not add up", () => {
  const turns = createTurns();
  const last = entryAt(COUNT, START_MS + MINUTE_MS);
  turns.set(last);
  let most = 0;
  for (let sequence = 0; sequence < COUNT; sequence++) {
    const entry = entryAt(sequence, START_MS + MINUTE_MS);
    turns.set(entry);
    entry.notBeforeMs = START_MS;
    turns.set(entry);
    assert.equal(turns.first(), entry);
    turns.remove(entry);
    most = Math.max(most, turns.size());
  }
  assert.ok(most < 1100, `${most} turns were kept of one or two entries`);
  assert.equal(turns.first(), last);
});

test("relay queue: what is called back and done before its relay time does not add up, and what is left is relayed in order", () => {
  const clock = createManualClock(START_MS);
  let held = 0;
  const queue = createRelayQueue(clock, () => held);
  let most = 0;
  for (let sequence = 0; sequence < COUNT; sequence++) {
    const entry = entryAt(sequence, START_MS + MINUTE_MS);
    held += 1;
    queue.push(entry);
    most = Math.max(most, queue.size());
    // One of a thousand is not called back.
    if (sequence % 1000 === 0) continue;
    entry.isLast = true;
    entry.item = null;
    held -= 1;
  }
  assert.ok(most < 1100, `${most} items were kept of ${held}`);
  const relayed = queue.take(START_MS + MINUTE_MS, COUNT).map(({ sequence }) => sequence);
  assert.deepEqual(
    relayed,
    Array.from({ length: COUNT / 1000 }, (_, thousand) => thousand * 1000),
  );
});
