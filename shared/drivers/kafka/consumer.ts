/**
 * One kafkajs consumer from its first join to its end, with the three things that kafkajs does not offer: a sign that a
 * rebalance has begun, a way to join again at once, and a commit that is tried once, in the generation of now. kafkajs'
 * own `commitOffsets` repeats a refused commit after the rebalance in the new generation, and so may move the offset of a
 * partition that is gone.
 */
import type { Consumer, EachBatchPayload, Offsets, PartitionAssigner } from "kafkajs";
import kafkajs from "kafkajs";

import { assert } from "../../lib/assert.ts";
import type { ReaderPace, TopicPartition } from "../../ports/partition-log.ts";
import type { KafkaContext } from "./client.ts";
import { CLOSE_MS, within } from "./client.ts";

/** After a crash the group waits this long before it gives the partitions to others; the broker's own minimum. */
export const SESSION_MS = 6000;
/** At the end of each fetch; bounds how late a member learns of a rebalance. */
const HEARTBEAT_MS = 500;
/** Members hear of a rebalance within a fetch and a heartbeat: who takes longer is gone, and all others wait for it. */
const REBALANCE_MS = 10_000;
/**
 * How long a fetch waits for so many bytes, and how late `resume` may take effect when all is paused. Every answer names all
 * partitions and is decoded: read at once, the retry queue had 180 of them a second beside a tenant that floods, which took a fifth
 * of a processor's time (bench tenants).
 */
const FETCH_WAITS: Readonly<Record<ReaderPace, { readonly minBytes: number; readonly maxWaitTimeInMs: number }>> = {
  "at-once": { minBytes: 1, maxWaitTimeInMs: 500 },
  "in-bulk": { minBytes: 64 * 1024, maxWaitTimeInMs: 250 },
};
/** One answer is decoded in one go, while which nothing else happens in the process: some milliseconds. */
const PARTITION_BYTES_MAX = 128 * 1024;
const FETCH_BYTES_MAX = 256 * 1024;
const HANDLERS = 8;

/** Names are those of the broker, prefix included. Called synchronously; none may throw or wait. */
export interface ConsumerListener {
  /** From here until `joined` the assignment is in doubt. */
  joining(): void;
  /** Under another `memberId` than before the group has expelled us meanwhile: what was ours was another's since. */
  joined(memberId: string, assignment: readonly TopicPartition[]): void;
  /** The broker answered a fetch, with records or without; paused or not, at least every second. */
  fetched(): void;
  /** True: read, go on behind it. False: not for us now, may be fetched again. */
  batch(payload: EachBatchPayload): boolean;
  /** It has ended by itself; at most once. */
  ended(error: unknown): void;
}

export interface GroupConsumer {
  commit(offsets: Offsets): Promise<void>;
  /** The broker said `refusal` to a commit: the group is joined again with the next answer, and nothing is read before. */
  rejoin(refusal: Error): void;
  pause(position: TopicPartition, isPaused: boolean): void;
  /** Leaves the group; quick, and bounded by `CLOSE_MS`. Nothing is heard of it any more. */
  stop(): Promise<void>;
}

/** Names are those of the broker, prefix included. */
export interface Reading {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly pace: ReaderPace;
}

export function startConsumer(
  context: KafkaContext,
  { groupId, topics, pace }: Reading,
  listener: ConsumerListener,
): GroupConsumer {
  const { kafka, clock, onFault } = context;
  let isOver = false;
  let commitNow: ((offsets: Offsets) => Promise<void>) | null = null;
  let refusal: Error | null = null;

  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: SESSION_MS,
    heartbeatInterval: HEARTBEAT_MS,
    rebalanceTimeout: REBALANCE_MS,
    ...FETCH_WAITS[pace],
    maxBytesPerPartition: PARTITION_BYTES_MAX,
    maxBytes: FETCH_BYTES_MAX,
    allowAutoTopicCreation: false,
    partitionAssigners: [announceJoins(() => whileOn(() => listener.joining()))],
    // The reader starts a new consumer by itself, after the partitions were given up.
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 8, restartOnFailure: () => Promise.resolve(false) },
  });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    refusal = null;
    whileOn(() => listener.joined(payload.memberId, toPositions(payload.memberAssignment)));
  });
  consumer.on(consumer.events.FETCH, () => whileOn(() => listener.fetched()));
  consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error));
  run().catch(end);

  function whileOn(act: () => void): void {
    if (!isOver) act();
  }

  function end(error: unknown): void {
    if (isOver) return;
    isOver = true;
    listener.ended(error);
  }

  async function run(): Promise<void> {
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    if (isOver) return;
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: HANDLERS,
      async eachBatch(payload) {
        if (isOver) return;
        // kafkajs takes what is thrown here for an answer to its own heartbeat, and joins.
        if (refusal !== null) throw refusal;
        commitNow = payload.commitOffsetsIfNecessary;
        if (listener.batch(payload)) payload.resolveOffset(payload.batch.lastOffset());
      },
    });
  }

  return {
    async commit(offsets) {
      assert(!isOver, "a consumer that has ended commits nothing");
      if (commitNow !== null) return await commitNow(offsets);
      const flat = offsets.topics.flatMap(({ topic, partitions }) => partitions.map((entry) => ({ topic, ...entry })));
      await consumer.commitOffsets(flat);
    },
    rejoin(error) {
      refusal = error;
    },
    pause(position, isPaused) {
      if (!isOver) setPaused(consumer, position, isPaused);
    },
    async stop() {
      isOver = true;
      const late = (): Error => new Error(`a reader of ${groupId} did not leave within ${CLOSE_MS} ms`);
      await within(clock, CLOSE_MS, consumer.disconnect(), late).catch(onFault);
    },
  };
}

/** kafkajs asks the assigner what to say whenever it is about to join: the only sign that a rebalance has begun. */
function announceJoins(announce: () => void): PartitionAssigner {
  return (config) => {
    const assigner = kafkajs.PartitionAssigners.roundRobin(config);
    const protocol = assigner.protocol.bind(assigner);
    return Object.assign(assigner, {
      protocol(subscription: { topics: string[] }) {
        announce();
        return protocol(subscription);
      },
    });
  };
}

function setPaused(consumer: Consumer, { topic, partition }: TopicPartition, isPaused: boolean): void {
  const target = [{ topic, partitions: [partition] }];
  if (isPaused) consumer.pause(target);
  else consumer.resume(target);
}

function toPositions(assignment: Readonly<Record<string, readonly number[]>>): TopicPartition[] {
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}
