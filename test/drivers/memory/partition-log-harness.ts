/** What an implementation of the port `partition-log` brings to be put to the test, and how the contract talks to it. */
import assert from "node:assert/strict";

import type {
  AssignedPartition,
  GroupListener,
  ConsumerRecord,
  NewRecord,
  PartitionLog,
  TopicSpec,
} from "@posthaste/shared/ports/partition-log.ts";
import { START_MS } from "../../support/samples.ts";

export interface LogHarness extends AsyncDisposable {
  readonly log: PartitionLog;
  /** The log's clock, in epoch ms. */
  now(): number;
  /** Closes the log in good order and opens it again over the same data. */
  reopen(): Promise<void>;
  /** Lets time pass until the fact is there; fails, naming it, when it does not come. */
  until(fact: string, isTrue: () => boolean): Promise<void>;
  /** Lets time pass until the work is done. */
  finish<Result>(work: Promise<Result>): Promise<Result>;
}

export type OpenLogHarness = () => Promise<LogHarness>;

/** A listener that keeps everything it is told. */
interface Collector extends GroupListener {
  readonly held: Map<string, AssignedPartition>;
  readonly handles: AssignedPartition[];
  readonly given: ConsumerRecord[];
  lostCount(): number;
  /** Texts of the values given so far, each once, in the order they first came. */
  texts(): string[];
}

export const TOPIC = "orders";
export const SPEC: TopicSpec = {
  topic: TOPIC,
  partitions: 4,
  replication: 1,
  minInSync: 1,
  retentionMs: -1,
  timestamps: "writer",
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export async function openWithTopic(open: OpenLogHarness): Promise<LogHarness> {
  const harness = await open();
  await harness.finish(harness.log.ensureTopics([SPEC]));
  return harness;
}

export function record(text: string, partition: number | null): NewRecord {
  return {
    topic: TOPIC,
    partition,
    key: null,
    value: encoder.encode(text),
    headers: { id: text },
    timestampMs: START_MS,
  };
}

export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `r${String(index).padStart(4, "0")}`);
}

export async function append(harness: LogHarness, records: readonly NewRecord[]): Promise<void> {
  await using producer = harness.log.openProducer("writer");
  await harness.finish(producer.append(records));
}

export async function read(harness: LogHarness, group = "readers") {
  const collector = createCollector();
  const reader = await harness.finish(harness.log.openReader(group, [TOPIC], collector));
  return {
    ...collector,
    health: () => reader.health(),
    close: async (): Promise<void> => await reader[Symbol.asyncDispose](),
    partition(partition: number): AssignedPartition {
      const handle = collector.held.get(`${TOPIC}/${partition}`);
      assert.ok(handle !== undefined, `partition ${partition} is held`);
      return handle;
    },
  };
}

function createCollector(): Collector {
  const held = new Map<string, AssignedPartition>();
  const handles: AssignedPartition[] = [];
  const given: ConsumerRecord[] = [];
  let lost = 0;
  return {
    held,
    handles,
    given,
    lostCount: () => lost,
    texts: () => Array.from(new Set(given.map(({ value }) => (value === null ? "" : decoder.decode(value))))),
    assigned(partition) {
      const key = `${partition.topic}/${partition.partition}`;
      assert.ok(!held.has(key), `${key} was assigned twice`);
      held.set(key, partition);
      handles.push(partition);
    },
    lost({ topic, partition }) {
      assert.ok(held.delete(`${topic}/${partition}`), "only what was assigned is lost");
      lost++;
    },
    records(partition, records) {
      assert.equal(held.get(`${partition.topic}/${partition.partition}`), partition, "records of what is held");
      given.push(...records);
    },
  };
}
