/**
 * Where partitions ended when they became ours: what lies below may have been worked on by another reader. It is asked
 * after the assignment, so that what lies at or above the answer was written when no other reader had the partition any
 * more. All partitions of one moment are asked for together, in one question for each topic.
 */
import type { Cancel, Clock } from "../../../lib/ambient.ts";
import type { TopicPartition, PartitionLog } from "../../../ports/partition-log.ts";

/** Before a question that failed is asked again; until it is answered, all of the partition counts as worked on. */
export const ENDS_AGAIN_MS = 1000;

/** A partition that is ours, and wants to know. */
export interface EndSeeker {
  readonly position: TopicPartition;
  learnEnd(end: number): void;
}

export interface PartitionEnds {
  find(seeker: EndSeeker): void;
  /** The partition was lost: the answer is of no use any more. */
  forget(seeker: EndSeeker): void;
  stop(): void;
}

export function createPartitionEnds(options: {
  readonly partitionLog: Pick<PartitionLog, "depth">;
  readonly group: string;
  readonly clock: Clock;
  /** Told of questions that failed. */
  readonly onFault: (error: unknown) => void;
}): PartitionEnds {
  const { partitionLog, group, clock } = options;
  const wanted = new Set<EndSeeker>();
  let cancel: Cancel | null = null;
  let isAsking = false;
  let isStopped = false;

  async function askTopic(topic: string, seekers: readonly EndSeeker[]): Promise<void> {
    const depths = await partitionLog.depth(group, topic);
    for (const seeker of seekers) {
      const end = depths.find(({ partition }) => partition === seeker.position.partition)?.end;
      // One that was forgotten meanwhile is not wanted any more.
      if (end !== undefined && wanted.delete(seeker)) seeker.learnEnd(end);
    }
  }

  async function ask(): Promise<void> {
    // One tick, in which the other partitions of the same assignment come in.
    await Promise.resolve();
    const byTopic = Map.groupBy(wanted, ({ position }) => position.topic);
    const answers = await Promise.allSettled([...byTopic].map(([topic, seekers]) => askTopic(topic, seekers)));
    isAsking = false;
    const failed = answers.filter((answer) => answer.status === "rejected");
    for (const { reason } of failed) options.onFault(reason);
    if (wanted.size === 0 || isStopped) return;
    if (failed.length === 0 && !isUnanswered(byTopic)) return begin();
    isAsking = true;
    cancel = clock.timer(ENDS_AGAIN_MS, begin);
  }

  /** The partition log does not show the partition yet. */
  function isUnanswered(asked: ReadonlyMap<string, readonly EndSeeker[]>): boolean {
    return [...asked.values()].flat().some((seeker) => wanted.has(seeker));
  }

  function begin(): void {
    isAsking = true;
    void ask();
  }

  return {
    find(seeker) {
      if (isStopped) return;
      wanted.add(seeker);
      if (!isAsking) begin();
    },
    forget: (seeker) => void wanted.delete(seeker),
    stop() {
      isStopped = true;
      wanted.clear();
      cancel?.();
    },
  };
}
