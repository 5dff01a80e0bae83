/**
 * What the ledger in Redis does not take in time, on its way through the log: a topic that holds nothing while Redis is
 * well, and one group of the processors that reads it back. An ack waits for either store, so a process that dies while
 * Redis is away takes nothing of the history with it.
 */
import type { Clock, Entropy } from "../../lib/ambient.ts";
import { retry } from "../../lib/retry.ts";
import type { ConsumerRecord, GroupReader, PartitionLog, RecordProducer } from "../../ports/partition-log.ts";
import type { Depth } from "../../ports/lanes.ts";
import type { ProjectedPartition } from "../partitioned/projected-partition.ts";
import { createProjectedPartition } from "../partitioned/projected-partition.ts";
import type { RedisLedger } from "../redis/ledger/ledger.ts";
import type { Spill } from "../redis/ledger/spilled-entry.ts";
import { GROUPS, LEDGER_TOPIC } from "./topics.ts";

/** Between tries while Redis is away: what was spilled is shown so soon after its return. */
const WAIT_MS_MAX = 3000;
const JOIN_AGAIN = { firstMs: 1000, maxMs: 15_000 } as const;

export function spillTo(producer: RecordProducer, clock: Pick<Clock, "now">): Spill {
  return (entries) =>
    producer.append(
      entries.map(({ tenant, eventId, value }) => ({
        topic: LEDGER_TOPIC,
        partition: null,
        key: eventId,
        value,
        headers: { tenant },
        timestampMs: clock.now(),
      })),
    );
}

export interface SpillReader extends AsyncDisposable {
  /** Joins the group in the background, however long that takes: nothing waits for what was missed. */
  start(): void;
  /** Of all processes; the age is of what this one has read. Throws what the partition log throws. */
  depth(): Promise<Depth>;
}

export function createSpillReader(options: {
  readonly partitionLog: PartitionLog;
  readonly ledger: Pick<RedisLedger, "takeBack">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Told of what failed and is repeated, and of records that do not read back. Must not throw. */
  readonly onFault: (error: unknown) => void;
}): SpillReader {
  const { partitionLog, ledger, clock, entropy, onFault } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const partitions = new Map<number, ProjectedPartition>();
  let joining: Promise<GroupReader | null> | null = null;

  async function apply(batch: readonly ConsumerRecord[]): Promise<void> {
    const oddCount = await ledger.takeBack(batch.map(({ value }) => value ?? new Uint8Array()));
    if (oddCount > 0) onFault(new Error(`${oddCount} records of the topic ${LEDGER_TOPIC} do not read back`));
  }

  const listener = {
    assigned(assigned: Parameters<typeof createProjectedPartition>[0]["assigned"]): void {
      const parts = { assigned, clock, entropy, apply, waitMsMax: WAIT_MS_MAX, onFault, signal };
      partitions.set(assigned.partition, createProjectedPartition(parts));
    },
    lost({ partition }: { readonly partition: number }): void {
      partitions.get(partition)?.lose();
      partitions.delete(partition);
    },
    records({ partition }: { readonly partition: number }, records: readonly ConsumerRecord[]): void {
      partitions.get(partition)?.give(records);
    },
  };

  async function join(): Promise<GroupReader | null> {
    const open = (): Promise<GroupReader> => partitionLog.openReader(GROUPS.ledger, [LEDGER_TOPIC], listener);
    const joined = await retry(open, { clock, entropy, signal, ...JOIN_AGAIN, onFailure: onFault });
    return joined.kind === "done" ? joined.value : null;
  }

  return {
    start() {
      joining ??= join();
    },
    async depth() {
      const depths = await partitionLog.depth(GROUPS.ledger, LEDGER_TOPIC);
      const ages = [...partitions.values()].flatMap((partition) => partition.oldestAtMs() ?? []);
      return {
        count: depths.reduce((sum, { start, committed, end }) => sum + end - Math.max(start, committed), 0),
        oldestAtMs: ages.length === 0 ? null : Math.min(...ages),
      };
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      for (const partition of partitions.values()) await partition.idle();
      await (await joining?.catch(() => null))?.[Symbol.asyncDispose]();
    },
  };
}
