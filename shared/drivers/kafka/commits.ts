/**
 * Commits of one reader: one request at a time, what comes meanwhile shares the next. A commit is sent only while the
 * assignment is certain and the partition is held; during a rebalance it waits, and is dropped when the partition went.
 */
import type { Offsets } from "kafkajs";

import type { Clock } from "../../lib/ambient.ts";
import type { BatchResult } from "../../lib/batcher.ts";
import { createBatcher } from "../../lib/batcher.ts";
import { storeFault } from "../../domain/errors.ts";
import { protocolError, storeUnavailable, within } from "./client.ts";
import type { GroupConsumer } from "./consumer.ts";
import type { HeldPartition } from "./held-partition.ts";

/** A commit waits this long for a rebalance to end, and again for the broker's answer. */
const COMMIT_MS = 10_000;
const TRIES_MAX = 3;
const COMMITS_PER_REQUEST_MAX = 1000;
const COMMITS_WAITING_MAX = 10_000;

/** The broker's answers to a member that has to join again. True: it was expelled, and has no partition any more. */
const REFUSALS: ReadonlyMap<string, boolean> = new Map([
  ["REBALANCE_IN_PROGRESS", false],
  ["ILLEGAL_GENERATION", false],
  ["NOT_COORDINATOR_FOR_GROUP", false],
  ["UNKNOWN_MEMBER_ID", true],
  ["FENCED_INSTANCE_ID", true],
]);

export interface CommitsOptions {
  readonly clock: Clock;
  readonly prefix: string;
  readonly isHeld: (partition: HeldPartition) => boolean;
  /** Null while the assignment is in doubt. */
  readonly consumer: () => GroupConsumer | null;
  /** The broker wants `consumer` to join again before it commits. */
  readonly refused: (consumer: GroupConsumer, refusal: Error, isExpelled: boolean) => void;
}

export interface Commits {
  /** Resolves when the broker has it, or when the partition is not held any more. */
  commit(partition: HeldPartition, next: number): Promise<void>;
  /** A join has ended, or all partitions were given up. */
  assignmentKnown(): void;
  idle(): Promise<void>;
}

interface Pending {
  readonly partition: HeldPartition;
  readonly next: number;
}

const DONE: BatchResult<void> = { kind: "done", value: undefined };

export function createCommits({ clock, prefix, isHeld, consumer, refused }: CommitsOptions): Commits {
  let known = Promise.withResolvers<void>();
  const batcher = createBatcher<Pending, void>({
    clock,
    flush,
    itemsMax: COMMITS_PER_REQUEST_MAX,
    bytesMax: Number.MAX_SAFE_INTEGER,
    waitingMax: COMMITS_WAITING_MAX,
    overflow: () => storeFault(`Kafka: ${COMMITS_WAITING_MAX} commits wait already.`, { code: "overloaded" }),
  });

  async function flush(items: readonly Pending[]): Promise<readonly BatchResult<void>[]> {
    let fault: unknown = null;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const held = items.filter(({ partition }) => isHeld(partition));
      if (held.length === 0) return items.map(() => DONE);
      const current = consumer();
      const next = known.promise;
      try {
        if (current !== null) {
          // No wait between the look at what is held and the request: it carries this very generation.
          await bounded(current.commit(toOffsets(held, prefix)), "the broker did not answer a commit");
          return items.map(() => DONE);
        }
        await bounded(next, "a rebalance did not end");
      } catch (error) {
        fault = error;
        const refusal = protocolError(error);
        const isExpelled = refusal === null ? undefined : REFUSALS.get(refusal.type);
        if (refusal === null || isExpelled === undefined) break;
        // Not for the answer to a generation that is over: the group was joined meanwhile.
        if (current !== null && next === known.promise) refused(current, refusal, isExpelled);
        await bounded(next, "a rebalance did not end").catch(() => undefined);
      }
    }
    const failed = storeUnavailable("an offset was not committed", fault ?? new Error("one rebalance after another"));
    return items.map(({ partition }) => (isHeld(partition) ? { kind: "failed", error: failed } : DONE));
  }

  function bounded<Result>(work: Promise<Result>, what: string): Promise<Result> {
    return within(clock, COMMIT_MS, work, () => new Error(`${what} within ${COMMIT_MS} ms`));
  }

  return {
    commit: (partition, next) => (isHeld(partition) ? batcher.add({ partition, next }, 0) : Promise.resolve()),
    assignmentKnown() {
      known.resolve();
      known = Promise.withResolvers();
    },
    idle: batcher.idle,
  };
}

/** The last commit of each partition counts. */
function toOffsets(items: readonly Pending[], prefix: string): Offsets {
  const byTopic = new Map<string, Map<number, string>>();
  for (const { partition, next } of items) {
    const topic = prefix + partition.topic;
    const offsets = byTopic.get(topic) ?? new Map<number, string>();
    byTopic.set(topic, offsets.set(partition.partition, String(next)));
  }
  return {
    topics: Array.from(byTopic, ([topic, offsets]) => ({
      topic,
      partitions: Array.from(offsets, ([partition, offset]) => ({ partition, offset })),
    })),
  };
}
