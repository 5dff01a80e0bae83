/**
 * The partitions that a reader holds, kept right by comparing each join with the one before: kafkajs has no hook for
 * revoked partitions. What stays keeps its handle and its pause, what went is `lost` first, what came is `assigned` as
 * soon as the group's place in it is known.
 */
import type { EachBatchPayload } from "kafkajs";

import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import type { GroupListener, TopicPartition } from "../../ports/partition-log.ts";
import type { HeldPartition } from "./held-partition.ts";
import { createHeldPartition, toLogRecord } from "./held-partition.ts";
import type { PartitionOffsets } from "./offsets.ts";

/** Batches that came before the place of their partition was known; more are fetched again. */
const EARLY_BATCHES_MAX = 4;

export interface AssignmentOptions {
  readonly clock: Clock;
  readonly prefix: string;
  readonly listener: GroupListener;
  /** Start, committed and end of each partition of a topic; names as callers know them. */
  readonly offsets: (topic: string) => Promise<readonly PartitionOffsets[]>;
  readonly commit: (partition: HeldPartition, next: number) => Promise<void>;
  /** Tells the consumer of now; the position's topic has the prefix. */
  readonly pause: (position: TopicPartition, isPaused: boolean) => void;
}

export interface Assignment {
  isHeld(partition: HeldPartition): boolean;
  /** A join ended: takes the broker's names, gives back what is new and not announced yet. */
  reconcile(assignment: readonly TopicPartition[]): readonly HeldPartition[];
  /** Says where each new partition begins, then hands over what came early. */
  announce(fresh: readonly HeldPartition[]): Promise<void>;
  /** False: not for us now, may be fetched again. */
  take(payload: EachBatchPayload): boolean;
  loseAll(): void;
  /** A partition that has something to read, is not paused, and gave nothing since `beforeMs` on the monotonic clock. */
  findStalled(beforeMs: number): Promise<TopicPartition | null>;
}

type Held = Map<string, HeldPartition>;

export function createAssignment(options: AssignmentOptions): Assignment {
  const held: Held = new Map();
  return {
    isHeld: (partition) => isHeld(held, partition),
    reconcile: (assignment) => reconcile(options, held, assignment),
    announce: (fresh) => announce(options, held, fresh),
    take: (payload) => take(options, held, payload),
    loseAll() {
      for (const partition of Array.from(held.values())) lose(options, held, partition);
    },
    findStalled: (beforeMs) => findStalled(options, held, beforeMs),
  };
}

function reconcile(
  options: AssignmentOptions,
  held: Held,
  assignment: readonly TopicPartition[],
): readonly HeldPartition[] {
  const { clock, prefix, commit } = options;
  const positions = assignment.map(({ topic, partition }) => ({ topic: topic.slice(prefix.length), partition }));
  const keys = new Set(positions.map(keyOf));
  for (const partition of Array.from(held.values())) {
    if (!keys.has(keyOf(partition))) lose(options, held, partition);
  }
  const pause = (partition: HeldPartition): void => applyPause(options, held, partition);
  const fresh: HeldPartition[] = [];
  for (const position of positions) {
    let partition = held.get(keyOf(position));
    if (partition === undefined) {
      partition = createHeldPartition(position, { commit, pause });
      held.set(keyOf(position), partition);
      fresh.push(partition);
    }
    partition.progressAtMs = clock.monotonic();
    // kafkajs keeps the pauses of partitions that were ours once, so each state is told again.
    pause(partition);
  }
  return fresh;
}

async function announce(options: AssignmentOptions, held: Held, fresh: readonly HeldPartition[]): Promise<void> {
  const { listener } = options;
  const found = await fetchOffsets(options, fresh);
  for (const partition of fresh) {
    if (!isHeld(held, partition)) continue;
    const place = found.get(keyOf(partition));
    assert(place !== undefined, "an assigned partition has offsets");
    const from = place.committed ?? place.start;
    partition.next ??= from;
    partition.announce(from);
    listener.assigned(partition.handle);
    for (const records of partition.takeEarly()) listener.records(partition.handle, records);
  }
}

function take({ clock, prefix, listener }: AssignmentOptions, held: Held, { batch }: EachBatchPayload): boolean {
  const partition = held.get(keyOf({ topic: batch.topic.slice(prefix.length), partition: batch.partition }));
  if (partition === undefined) return false;
  if (!partition.isAnnounced() && partition.earlyCount() === EARLY_BATCHES_MAX) return false;
  const records = batch.messages.map((message) => toLogRecord(partition, message));
  partition.next = Number(batch.lastOffset()) + 1;
  partition.progressAtMs = clock.monotonic();
  if (partition.isAnnounced()) listener.records(partition.handle, records);
  else partition.keepEarly(records);
  return true;
}

/** Nothing came from those that stand still: right when there is nothing, and then they are asked again later. */
async function findStalled(options: AssignmentOptions, held: Held, beforeMs: number): Promise<TopicPartition | null> {
  const still = Array.from(held.values())
    .filter(({ isPaused, progressAtMs }) => !isPaused() && progressAtMs < beforeMs)
    .map((partition) => ({ partition, next: partition.next }));
  if (still.length === 0) return null;
  const found = await fetchOffsets(
    options,
    still.map(({ partition }) => partition),
  );
  for (const { partition, next } of still) {
    const isStill = isHeld(held, partition) && partition.next === next && !partition.isPaused();
    if (!isStill) continue;
    if (next !== null && next < (found.get(keyOf(partition))?.end ?? 0)) return partition;
    partition.progressAtMs = options.clock.monotonic();
  }
  return null;
}

async function fetchOffsets(
  { offsets }: AssignmentOptions,
  positions: readonly TopicPartition[],
): Promise<ReadonlyMap<string, PartitionOffsets>> {
  const topics = Array.from(new Set(positions.map(({ topic }) => topic)));
  const rows = await Promise.all(topics.map((topic) => offsets(topic)));
  return new Map(rows.flat().map((row) => [keyOf(row), row]));
}

function applyPause({ clock, prefix, pause }: AssignmentOptions, held: Held, partition: HeldPartition): void {
  partition.progressAtMs = clock.monotonic();
  if (!isHeld(held, partition)) return;
  pause({ topic: prefix + partition.topic, partition: partition.partition }, partition.isPaused());
}

function lose({ listener }: AssignmentOptions, held: Held, partition: HeldPartition): void {
  held.delete(keyOf(partition));
  if (partition.isAnnounced()) listener.lost({ topic: partition.topic, partition: partition.partition });
}

function isHeld(held: Held, partition: HeldPartition): boolean {
  return held.get(keyOf(partition)) === partition;
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
