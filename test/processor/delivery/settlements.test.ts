import assert from "node:assert/strict";
import { test } from "node:test";
import { createStoredWrites } from "@posthaste/processor/delivery/until-stored.ts";
import { createSettlements, LINGER_MS, SETTLEMENTS_MAX } from "@posthaste/processor/delivery/settlements.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import { seededEntropy } from "../../support/ambient.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { sampleEnvelope, sampleRecord, START_MS, TENANT } from "../../support/samples.ts";

/** Notes what is written, in order; acks fail while `isDown`. */
function open() {
  const clock = createManualClock(START_MS);
  const written: string[] = [];
  const failures: number[] = [];
  const state = { isDown: false, watched: "nobody", recorded: Promise.resolve(), ended: Promise.resolve() };
  const stop = new AbortController();
  const { untilStored } = createStoredWrites({
    clock,
    entropy: seededEntropy(1),
    stopping: stop.signal,
    signal: stop.signal,
    onFailure: (_what, _error, waitMs) => void failures.push(waitMs),
  });
  const settlements = createSettlements({
    clock,
    ledger: {
      record: (entries) => void written.push(`ledger ${entries.length}`),
      recorded: () => state.recorded,
    },
    stats: { add: (entries) => void written.push(`stats ${entries.length}`) },
    tail: {
      isWatched: (tenant) => tenant === state.watched,
      publish: (entries) => void written.push(`tail ${entries.map(({ tenant, lane }) => `${tenant} ${lane}`).join()}`),
    },
    deadLetterEnds: {
      end(delivered) {
        written.push(`end ${delivered.length}`);
        return state.ended;
      },
    },
    untilStored,
  });
  const queue = {
    ack(items: readonly string[]): Promise<void> {
      if (state.isDown) return Promise.reject(new Error("no store"));
      written.push(`ack ${items.join()}`);
      return Promise.resolve();
    },
  };
  return { clock, written, failures, state, stop, settlements, queue };
}

const entry: LedgerEntry = {
  kind: "fan-out",
  fanOut: {
    tenant: TENANT,
    eventId: "evt_1",
    atMs: START_MS,
    matched: [],
    matchedCount: 0,
    filtered: [],
    filteredCount: 0,
  },
};

const count = { kind: "accepted", tenant: TENANT, type: "order.paid", lane: "high", atMs: START_MS } as const;

test("an ack waits until the entries before it are recorded, and holds up no other entries", async () => {
  const { clock, settlements, queue, written, state } = open();
  const recorded = Promise.withResolvers<void>();
  state.recorded = recorded.promise;
  settlements.record([entry]);
  settlements.ack(queue, "a", () => undefined);
  await clock.advance(LINGER_MS);
  settlements.record([entry, entry]);
  await clock.advance(LINGER_MS);
  assert.deepEqual(written, ["ledger 1", "ledger 2"]);
  recorded.resolve();
  await clock.settle();
  assert.deepEqual(written, ["ledger 1", "ledger 2", "ack a"]);
});

test("what comes within the linger is written together: ledger, counts, then acks", async () => {
  const { clock, settlements, queue, written } = open();
  settlements.record([entry]);
  settlements.count([count]);
  settlements.ack(queue, "a", () => undefined);
  settlements.record([entry, entry]);
  settlements.ack(queue, "b", () => undefined);
  await clock.advance(LINGER_MS - 1);
  assert.deepEqual(written, []);
  await clock.advance(1);
  assert.deepEqual(written, ["ledger 3", "stats 1", "ack a,b"]);
});

test("a full buffer is written at once", () => {
  const { settlements, written } = open();
  for (let index = 0; index < SETTLEMENTS_MAX - 1; index++) settlements.record([entry]);
  assert.deepEqual(written, []);
  settlements.record([entry]);
  assert.deepEqual(written, [`ledger ${SETTLEMENTS_MAX}`]);
});

test("after a full buffer the linger begins anew", async () => {
  const { clock, settlements, written } = open();
  for (let index = 0; index < SETTLEMENTS_MAX; index++) settlements.record([entry]);
  await clock.advance(3);
  settlements.record([entry]);
  await clock.advance(LINGER_MS - 1);
  assert.equal(written.length, 1);
  await clock.advance(1);
  assert.equal(written.length, 2);
});

test("flush() writes what waits now, and nothing twice", async () => {
  const { clock, settlements, queue, written } = open();
  settlements.ack(queue, "a", () => undefined);
  settlements.flush();
  settlements.flush();
  await clock.advance(1000);
  assert.deepEqual(written, ["ack a"]);
});

test("each queue gets back only what it gave", async () => {
  const { clock, settlements, queue, written } = open();
  const other = { ack: (items: readonly number[]) => Promise.resolve(void written.push(`other ${items.join()}`)) };
  settlements.ack(queue, "a", () => undefined);
  settlements.ack(other, 7, () => undefined);
  settlements.ack(queue, "b", () => undefined);
  await clock.advance(LINGER_MS);
  assert.deepEqual(written, ["ack a,b", "other 7"]);
});

test("the caller is told when the ack is durable and not before; a store that fails is asked again", async () => {
  const { clock, settlements, queue, written, state, failures } = open();
  const told: string[] = [];
  state.isDown = true;
  settlements.ack(queue, "a", () => void told.push("a"));
  await clock.advance(10_000);
  assert.deepEqual([written, told], [[], []]);
  assert.ok(failures.length >= 5);
  state.isDown = false;
  await clock.advance(10_000);
  assert.deepEqual([written, told], [["ack a"], ["a"]]);
});

test("a stop ends the asking, and the caller is told that there is nothing more to wait for", async () => {
  const { clock, settlements, queue, written, state, stop } = open();
  const told: string[] = [];
  state.isDown = true;
  settlements.ack(queue, "a", () => void told.push("a"));
  await clock.advance(10_000);
  stop.abort();
  await clock.settle();
  assert.deepEqual([written, told], [[], ["a"]]);
});

test("what is settled of a tenant that somebody watches goes to the tail, with its lane; a fan-out does not", async () => {
  const { clock, written, state, settlements } = open();
  const settled = (envelope: Envelope): LedgerEntry => ({
    kind: "delivery",
    delivery: sampleRecord(envelope),
    envelope,
  });
  const other = sampleEnvelope("evt_b", { tenant: "other" });
  const batch = [settled(sampleEnvelope("evt_a", { priority: "LOW" })), settled(other), entry];
  settlements.record(batch);
  await clock.advance(LINGER_MS);
  assert.deepEqual(written, ["ledger 3"]);
  state.watched = TENANT;
  settlements.record(batch);
  await clock.advance(LINGER_MS);
  assert.deepEqual(written, ["ledger 3", "ledger 3", `tail ${TENANT} low`]);
});
