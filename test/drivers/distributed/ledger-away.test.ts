/**
 * What happened while Redis was away is shown when it is back: a gateway that accepts and a processor that delivers are
 * processes of their own, each with its line to Redis, and both may die before it returns.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { KnownEvents } from "@posthaste/shared/drivers/distributed/known-events.ts";
import { UNTOLD_MAX, createKnownEvents } from "@posthaste/shared/drivers/distributed/known-events.ts";
import type { SpillReader } from "@posthaste/shared/drivers/distributed/ledger-spill.ts";
import { createSpillReader, spillTo } from "@posthaste/shared/drivers/distributed/ledger-spill.ts";
import { LEDGER_TOPIC } from "@posthaste/shared/drivers/distributed/topics.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { LedgerBounds } from "@posthaste/shared/drivers/redis/ledger/bounds.ts";
import type { RedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { createRedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { toPendingEntry } from "@posthaste/shared/drivers/redis/ledger/pending-entries.ts";
import { packEntry } from "@posthaste/shared/drivers/redis/ledger/spilled-entry.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { DeliveryRecord, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import { FAILED, OF_ENDPOINT, idsKept } from "../redis/ledger-harness.ts";
import type { RedisProcess } from "../redis/harness.ts";
import { openRedisHarness } from "../redis/harness.ts";
import type { SwitchedCommands } from "../redis/switch.ts";
import { createSwitchedCommands } from "../redis/switch.ts";
import { START_MS, TENANT, sampleEnvelope, sampleRecord } from "../../support/samples.ts";

const TOPIC = {
  topic: LEDGER_TOPIC,
  partitions: 2,
  replication: 1,
  minInSync: 1,
  retentionMs: 8 * 24 * 3600_000,
  timestamps: "writer",
} as const;
/** What a reader needs to join, and a batch to be given up by Redis and taken by the log. */
const JOIN_MS = 3000;
const SPILL_MS = 2000;
/** What was spilled is read back, or what waited in a process told, so soon after Redis is back. */
const BACK_MS = 6000;

interface Process {
  readonly line: SwitchedCommands;
  readonly log: MemoryLog;
  readonly ledger: RedisLedger;
  readonly known: KnownEvents;
  readonly reader: SpillReader;
}

async function openWorld(bounds: Partial<LedgerBounds> = {}) {
  const faults: unknown[] = [];
  const lost: number[] = [];
  let given: RedisProcess | null = null;
  const harness = await openRedisHarness(
    (process) => {
      given = process;
      return {};
    },
    { server: "model" },
  )();
  assert.ok(given !== null);
  const { commands, keys, clock } = given as RedisProcess;
  const broker = openMemoryLog({ clock });
  await broker.ensureTopics([TOPIC]);

  function openProcess(): Process {
    const line = createSwitchedCommands(commands);
    const log = broker.forProcess(clock);
    const onFault = (error: unknown): void => void faults.push(error);
    const onLost = (count: number): void => void lost.push(count);
    const parts = { commands: line.commands, keys, clock, bounds, onLost };
    const ledger = createRedisLedger({ ...parts, spill: spillTo(log.openProducer("spool"), clock) });
    const known = createKnownEvents({ ledger, clock, onFault, onLost });
    const reader = createSpillReader({ partitionLog: log, ledger, clock, entropy: systemEntropy, onFault });
    return { line, log, ledger, known, reader };
  }

  return {
    clock: harness.clock,
    broker,
    openProcess,
    faults,
    lost,
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

/** As a processor records an attempt: with the event that it has in hand. */
function attempt(envelope: Envelope, parts: Partial<DeliveryRecord> = {}): LedgerEntry {
  return { kind: "delivery", delivery: sampleRecord(envelope, parts), envelope };
}

async function accept({ known }: Process, envelopes: readonly Envelope[]): Promise<void> {
  if ((await known.remember(envelopes)) === null) known.rememberLater(envelopes);
}

const statesOf = async (ledger: RedisLedger) => (await ledger.events({ tenant: TENANT }, 100, null)).rows;

/** Of the one delivery that there is. */
const stateOf = async (ledger: RedisLedger) => (await ledger.deliveries(OF_ENDPOINT, 10, null)).rows[0]?.state;

test("accepted in one process and delivered in another while Redis is away: shown with its state when it is back", async () => {
  await using world = await openWorld();
  const { clock, openProcess, lost } = world;
  const [gateway, processor] = [openProcess(), openProcess()];
  processor.reader.start();
  await clock.advance(JOIN_MS);
  for (const { line } of [gateway, processor]) line.setAway(true);
  const envelopes = ["evt_a", "evt_b", "evt_c"].map((id, at) => sampleEnvelope(id, { acceptedAtMs: START_MS + at }));
  await accept(gateway, envelopes);
  const [a, b] = envelopes;
  assert.ok(a !== undefined && b !== undefined);
  processor.ledger.record([attempt(a)]);
  processor.ledger.record([attempt(b, { state: "retrying", result: FAILED, reason: "no answer" })]);
  assert.deepEqual(await processor.reader.depth(), { count: 0, oldestAtMs: null });
  await clock.advance(SPILL_MS);
  const waiting = await processor.reader.depth();
  assert.equal(waiting.count, 2);
  assert.ok(waiting.oldestAtMs !== null && waiting.oldestAtMs <= clock.now());
  for (const { line } of [gateway, processor]) line.setAway(false);
  await clock.advance(BACK_MS);
  assert.deepEqual(await processor.reader.depth(), { count: 0, oldestAtMs: null });
  const rows = await statesOf(gateway.ledger);
  assert.deepEqual(
    rows.map(({ envelope, state }) => [envelope.id, state]),
    [
      ["evt_c", "pending"],
      ["evt_b", "pending"],
      ["evt_a", "delivered"],
    ],
  );
  assert.deepEqual(rows[2]?.envelope, a, "with its body, priority and time");
  const attempts = await gateway.ledger.attempts({ ...OF_ENDPOINT }, 10, null);
  const kindById = new Map(attempts.rows.map(({ eventId, result }) => [eventId, result.kind]));
  assert.deepEqual([kindById.get("evt_a"), kindById.get("evt_b"), kindById.size], ["answered", "fault", 2]);
  assert.deepEqual(lost, []);
});

test("an ack waits for the log while Redis is away, and the record outlives both processes", async () => {
  await using world = await openWorld();
  const { clock, openProcess, lost } = world;
  const [gateway, processor] = [openProcess(), openProcess()];
  for (const { line } of [gateway, processor]) line.setAway(true);
  const envelope = sampleEnvelope("evt_a");
  await accept(gateway, [envelope]);
  let isFree = false;
  processor.ledger.record([attempt(envelope)]);
  void processor.ledger.recorded().then(() => (isFree = true));
  await clock.advance(100);
  assert.equal(isFree, false, "in neither store yet");
  await clock.advance(600);
  assert.equal(isFree, true);
  // Both die; the lines of those after them are well.
  processor.log.crash();
  gateway.log.crash();
  const next = openProcess();
  next.reader.start();
  await clock.advance(JOIN_MS + BACK_MS);
  assert.deepEqual(
    (await statesOf(next.ledger)).map(({ envelope: { id }, state }) => [id, state]),
    [["evt_a", "delivered"]],
  );
  assert.deepEqual(lost, []);
});

test("once Redis was given up each batch goes to the log at once, and to Redis again when that answers", async () => {
  await using world = await openWorld();
  const { clock, openProcess, broker } = world;
  const processor = openProcess();
  processor.line.setAway(true);
  const spilledCount = async (): Promise<number> =>
    (await broker.depth("anyone", LEDGER_TOPIC)).reduce((sum, { end }) => sum + end, 0);
  processor.ledger.record([attempt(sampleEnvelope("evt_a"))]);
  await clock.advance(SPILL_MS);
  assert.equal(await spilledCount(), 1);
  processor.ledger.record([attempt(sampleEnvelope("evt_b"))]);
  await clock.advance(50);
  assert.equal(await spilledCount(), 2);
  processor.line.setAway(false);
  processor.ledger.record([attempt(sampleEnvelope("evt_c"))]);
  await clock.advance(500);
  assert.equal(await spilledCount(), 2);
  assert.deepEqual(await idsKept(processor.ledger), ["evt_c"]);
});

test("a Redis that is away for a blink costs the log nothing", async () => {
  await using world = await openWorld();
  const { clock, openProcess, broker } = world;
  const processor = openProcess();
  await processor.ledger.remember([sampleEnvelope("evt_a")]);
  processor.line.setAway(true);
  processor.ledger.record([attempt(sampleEnvelope("evt_a"))]);
  await clock.advance(250);
  processor.line.setAway(false);
  await clock.advance(500);
  assert.deepEqual((await statesOf(processor.ledger))[0]?.state, "delivered");
  assert.ok((await broker.depth("anyone", LEDGER_TOPIC)).every(({ end }) => end === 0));
});

test("what is read back does not overwrite what was recorded since, and twice changes nothing", async () => {
  await using world = await openWorld();
  const { clock, openProcess } = world;
  const processor = openProcess();
  processor.line.setAway(true);
  const envelope = sampleEnvelope("evt_a");
  const first = attempt(envelope, { state: "retrying", result: FAILED, reason: "no answer" });
  processor.ledger.record([first]);
  await clock.advance(SPILL_MS);
  processor.line.setAway(false);
  processor.ledger.record([attempt(envelope, { attempt: 2, atMs: START_MS + 5000 })]);
  await clock.advance(500);
  const next = openProcess();
  next.reader.start();
  await clock.advance(JOIN_MS + BACK_MS);
  for (let round = 0; round < 3; round++) {
    assert.equal((await statesOf(next.ledger))[0]?.state, "delivered");
    const attempts = await next.ledger.attempts({ ...OF_ENDPOINT }, 10, null);
    assert.deepEqual(
      attempts.rows.map((row) => row.attempt),
      [2, 1],
    );
    assert.equal(await next.ledger.takeBack([packEntry(toPendingEntry(first)).value]), 0);
  }
});

test("of the same attempt the newer news stands, whatever is read back after it", async () => {
  await using world = await openWorld();
  const { clock, openProcess } = world;
  const processor = openProcess();
  const envelope = sampleEnvelope("evt_a");
  const at = (afterMs: number, state: "pending" | "retrying" | "paused") =>
    attempt(envelope, { state, atMs: START_MS + afterMs, attempt: state === "pending" ? 0 : 1 });
  const spilled = async (...entries: LedgerEntry[]): Promise<void> => {
    for (const entry of entries) await processor.ledger.takeBack([packEntry(toPendingEntry(entry)).value]);
  };
  const stateNow = () => stateOf(processor.ledger);
  await processor.ledger.remember([envelope]);
  processor.ledger.record([at(500, "paused")]);
  await clock.advance(BACK_MS);
  await spilled(at(100, "retrying"));
  assert.equal(await stateNow(), "paused", "the failure before the pause comes late");
  await spilled(at(900, "retrying"));
  assert.equal(await stateNow(), "retrying", "news from after it");
  await spilled(at(900, "paused"), at(950, "paused"));
  assert.equal(await stateNow(), "paused");
});

test("what waited and is held since does not wait again when its fan-out is read back", async () => {
  await using world = await openWorld();
  const { clock, openProcess } = world;
  const processor = openProcess();
  const envelope = sampleEnvelope("evt_a");
  const held = attempt(envelope, { state: "disabled", atMs: START_MS + 500, attempt: 0 });
  const waiting = attempt(envelope, { state: "pending", atMs: START_MS + 100, attempt: 0 });
  await processor.ledger.remember([envelope]);
  processor.ledger.record([held]);
  await clock.advance(BACK_MS);
  await processor.ledger.takeBack([packEntry(toPendingEntry(waiting)).value]);
  assert.equal(await stateOf(processor.ledger), "disabled");
  processor.ledger.record([attempt(envelope, { state: "pending", atMs: START_MS + 900, attempt: 0 })]);
  await clock.advance(BACK_MS);
  assert.equal(await stateOf(processor.ledger), "pending", "it goes out again");
});

test("an event that had to make room, or whose time is over, is not brought back", async () => {
  await using world = await openWorld({ eventsPerTenantMax: 2 });
  const { clock, openProcess } = world;
  const { ledger } = openProcess();
  const old = sampleEnvelope("evt_old");
  await ledger.remember([old]);
  await ledger.remember(["evt_1", "evt_2"].map((id, at) => sampleEnvelope(id, { acceptedAtMs: START_MS + 1 + at })));
  ledger.record([attempt(old)]);
  await clock.advance(BACK_MS);
  assert.deepEqual(await idsKept(ledger), ["evt_2", "evt_1"]);
  await ledger.recall([sampleEnvelope("evt_past", { acceptedAtMs: START_MS - 11 * 24 * 3600_000 })]);
  assert.deepEqual(await idsKept(ledger), ["evt_2", "evt_1"]);
});

test("a record of the topic that is none of ours is told and costs itself", async () => {
  await using world = await openWorld();
  const { clock, openProcess, faults } = world;
  const processor = openProcess();
  const producer = processor.log.openProducer("other");
  const recordOf = (text: string) => ({
    topic: LEDGER_TOPIC,
    partition: 0,
    key: null,
    value: new TextEncoder().encode(text),
    headers: {},
    timestampMs: START_MS,
  });
  await Promise.all([
    producer.append([recordOf("nothing"), recordOf('["d","acme"]\n'), recordOf('["f","a:b|c","evt_a",1,1,"{}"]\n')]),
    clock.advance(100),
  ]);
  processor.line.setAway(true);
  processor.ledger.record([attempt(sampleEnvelope("evt_a"))]);
  await clock.advance(SPILL_MS);
  processor.line.setAway(false);
  processor.reader.start();
  await clock.advance(JOIN_MS + BACK_MS);
  assert.deepEqual(await idsKept(processor.ledger), ["evt_a"]);
  assert.match(String(faults.at(-1)), /3 records of the topic ledger do not read back/);
});

test("what was refused after all is not shown, also when Redis could not be told", async () => {
  await using world = await openWorld();
  const { clock, openProcess } = world;
  const gateway = openProcess();
  const [ghost, other] = [sampleEnvelope("evt_ghost"), sampleEnvelope("evt_b")];
  await gateway.known.remember([ghost]);
  gateway.line.setAway(true);
  await Promise.all([gateway.known.forget([ghost]), clock.advance(100)]);
  await accept(gateway, [other]);
  gateway.line.setAway(false);
  await clock.advance(1000);
  assert.deepEqual(await idsKept(gateway.ledger), ["evt_b"]);
});

test("past its bound what a gateway could not tell is counted as lost there", async () => {
  await using world = await openWorld();
  const { openProcess, lost } = world;
  const gateway = openProcess();
  const envelope = sampleEnvelope("evt_a");
  gateway.known.rememberLater(Array.from({ length: UNTOLD_MAX + 3 }, () => envelope));
  assert.deepEqual(lost, [3]);
});
