/** The contract of `partition-log` over the in-memory log, and what the simulation needs of it beside that. */
import assert from "node:assert/strict";
import { test } from "node:test";

import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { ConsumerRecord, NewRecord, TopicSpec } from "@posthaste/shared/ports/partition-log.ts";

import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { withCode } from "../../contract/harness.ts";
import type { LogHarness } from "./partition-log-harness.ts";
import { partitionLogContract } from "../../contract/partition-log.contract.ts";
import { START_MS } from "../../support/samples.ts";

const STEP_MS = 10;
const FACT_MS = 60_000;
const SESSION_MS = 6000;

partitionLogContract("memory", () => Promise.resolve(openMemoryHarness()));

const SPEC: TopicSpec = {
  topic: "t",
  partitions: 4,
  replication: 3,
  minInSync: 2,
  retentionMs: 60_000,
  timestamps: "log",
};

test("memory: a crashed reader keeps its partitions for its session time, then the others read on", async () => {
  await using harness = openMemoryHarness();
  const { log, clock } = harness;
  await log.ensureTopics([SPEC]);
  const doomed = log.forProcess(clock);
  const before = await openCounting(harness, doomed);
  await log.openProducer("p").append([record(0), record(1)]);
  await harness.until("both records", () => before.given.length === 2);
  doomed.crash();
  let isJoined = false;
  const after = openCounting(harness, log).finally(() => {
    isJoined = true;
  });
  await clock.advance(SESSION_MS - 1);
  assert.equal(isJoined, false);
  const { given } = await harness.finish(after);
  await harness.until("both records again", () => given.length === 2);
  assert.equal(before.given.length, 2);
  assert.equal(before.lost.length, 0);
});

test("memory: after a crash the listener hears nothing, not even of appends that were on their way", async () => {
  await using harness = openMemoryHarness();
  const { log, clock } = harness;
  await log.ensureTopics([SPEC]);
  const reading = await openCounting(harness, log);
  const appending = log.openProducer("p").append([record(0)]);
  reading.reader.crash();
  await harness.finish(appending);
  await clock.advance(60_000);
  assert.equal(reading.given.length, 0);
});

test("memory: while the log is not reachable nothing is written, read or committed; afterwards all goes on", async () => {
  await using harness = openMemoryHarness();
  const { log } = harness;
  await log.ensureTopics([SPEC]);
  const reading = await openCounting(harness, log);
  const producer = log.openProducer("p");
  await harness.finish(producer.append([record(0)]));
  await harness.until("the record", () => reading.given.length === 1);
  log.setReachable(false);
  assert.equal(typeof reading.reader.health(), "string");
  assert.equal(typeof (await log.health()), "string");
  await assert.rejects(harness.finish(producer.append([record(0)])), withCode("store-unavailable"));
  await assert.rejects(log.depth("g", "t"), withCode("store-unavailable"));
  log.setReachable(true);
  await harness.finish(producer.append([record(1)]));
  await harness.until("the next record", () => reading.given.length === 2);
  assert.equal((await log.depth("g", "t"))[0]?.end, 1);
});

test("memory: records are dropped after their retention, and reading begins at the first one kept", async () => {
  await using harness = openMemoryHarness();
  const { log, clock } = harness;
  await log.ensureTopics([SPEC]);
  const producer = log.openProducer("p");
  await harness.finish(producer.append([record(0), record(0)]));
  await clock.advance(60_001);
  await harness.finish(producer.append([record(0)]));
  assert.deepEqual((await log.depth("g", "t"))[0], { topic: "t", partition: 0, start: 2, committed: 2, end: 3 });
  const { given } = await openCounting(harness, log);
  await harness.until("the record that was kept", () => given.length === 1);
  assert.equal(given[0]?.offset, 2);
  assert.equal(given[0]?.timestampMs, START_MS + 60_001);
});

test("memory: the option `partitions` outweighs what the topics ask for", async () => {
  const clock = createManualClock(START_MS);
  await using log = openMemoryLog({ clock, partitions: 2 });
  await log.ensureTopics([SPEC]);
  assert.equal((await log.depth("g", "t")).length, 2);
});

test("memory: what a producer was given may be changed afterwards", async () => {
  await using harness = openMemoryHarness();
  const { log } = harness;
  await log.ensureTopics([SPEC]);
  const value = Uint8Array.of(1, 2, 3);
  await harness.finish(log.openProducer("p").append([{ ...record(0), value }]));
  value.fill(9);
  const { given } = await openCounting(harness, log);
  await harness.until("the record", () => given.length === 1);
  assert.deepEqual(given[0]?.value, Uint8Array.of(1, 2, 3));
});

async function openCounting(harness: LogHarness, log: MemoryLog) {
  const given: ConsumerRecord[] = [];
  const lost: number[] = [];
  const opening = log.openReader("g", ["t"], {
    assigned: () => undefined,
    lost: ({ partition }) => void lost.push(partition),
    records: (_partition, records) => void given.push(...records),
  });
  return { reader: await harness.finish(opening), given, lost };
}

function record(partition: number): NewRecord {
  return { topic: "t", partition, key: null, value: Uint8Array.of(partition), headers: {}, timestampMs: 0 };
}

function openMemoryHarness(): LogHarness & { readonly log: MemoryLog; readonly clock: ManualClock } {
  const clock = createManualClock(START_MS);
  const broker = openMemoryLog({ clock });
  let log = broker.forProcess(clock);

  async function until(fact: string, isTrue: () => boolean): Promise<void> {
    const untilMs = clock.monotonic() + FACT_MS;
    await clock.settle();
    while (!isTrue()) {
      assert.ok(clock.monotonic() < untilMs, `within ${FACT_MS} ms: ${fact}`);
      await clock.advance(STEP_MS);
    }
  }

  async function finish<Result>(work: Promise<Result>): Promise<Result> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    work.then(end, end);
    await until("the end of the work", () => isOver);
    return await work;
  }

  return {
    clock,
    get log() {
      return log;
    },
    async reopen() {
      await finish(Promise.resolve(log[Symbol.asyncDispose]()));
      log = broker.forProcess(clock);
    },
    now: () => clock.now(),
    until,
    finish,
    [Symbol.asyncDispose]: () => Promise.resolve(broker[Symbol.asyncDispose]()),
  };
}
