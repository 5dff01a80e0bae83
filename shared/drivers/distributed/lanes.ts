/**
 * The lanes of the distributed set: HIGH in Redis, MEDIUM and LOW in Kafka. While Redis is away HIGH goes to a topic of
 * its own. That topic is always read, so nothing waits when Redis returns. The ledger records an event in the same step;
 * it is a projection and stops nobody.
 */
import type { Envelope } from "../../domain/envelope.ts";
import { isStoreUnavailable } from "../../domain/errors.ts";
import type { Clock } from "../../lib/ambient.ts";
import { admitsAll } from "../../lib/flow-rows.ts";
import type { Depth, LaneItem, Lanes } from "../../ports/lanes.ts";
import type { PartitionedLanes } from "../partitioned/lanes/lanes.ts";
import type { HighLane } from "../redis/high-lane/high-lane.ts";
import { createAppend } from "./append.ts";
import type { KnownEvents } from "./known-events.ts";
import { createMergedLane } from "./merged-lane.ts";

export interface DistributedLanesOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly high: HighLane;
  readonly partitioned: PartitionedLanes;
  readonly known: Pick<KnownEvents, "remember" | "rememberLater" | "forget">;
  readonly isRedisReachable: () => boolean;
  /** Called of each use of the fall-back. */
  readonly onFault: (error: unknown) => void;
}

export function createDistributedLanes(options: DistributedLanesOptions): Lanes {
  const { high, partitioned, known, onFault } = options;
  const releaseAll = async (items: readonly LaneItem[]): Promise<void> => {
    const [ofPartitioned, ofRedis] = split(items, partitioned);
    await Promise.all([partitioned.release(ofPartitioned), ofRedis.length === 0 ? undefined : high.release(ofRedis)]);
  };
  const mergedHigh = createMergedLane(
    options.clock,
    [
      { take: (max, signal) => high.take(max, signal), leaveOut: (tenants) => high.leaveOut(tenants) },
      { take: (max, signal, admits) => partitioned.take("high", max, signal, admits), leaveOut: null },
    ],
    (items) => void releaseAll(items).catch(onFault),
  );

  async function appendHigh(envelopes: readonly Envelope[]): Promise<void> {
    if (options.isRedisReachable()) {
      try {
        return await high.append(envelopes);
      } catch (error) {
        if (!isStoreUnavailable(error)) throw error;
        // It may have been appended all the same: the two copies meet in the ledger.
        onFault(error);
      }
    }
    await partitioned.append(envelopes);
  }

  return {
    append: createAppend({ high: appendHigh, others: (envelopes) => partitioned.append(envelopes), known }),
    take: (lane, max, signal, admits = admitsAll) =>
      lane === "high" ? mergedHigh.take(max, signal, admits) : partitioned.take(lane, max, signal, admits),
    lookAgain(lane) {
      partitioned.lookAgain(lane);
      if (lane === "high") mergedHigh.lookAgain();
    },
    async ack(items) {
      const [ofPartitioned, ofRedis] = split(items, partitioned);
      await Promise.all([
        ofPartitioned.length === 0 ? undefined : partitioned.ack(ofPartitioned),
        ofRedis.length === 0 ? undefined : high.ack(ofRedis),
      ]);
    },
    release: releaseAll,
    depth: async (lane) =>
      lane === "high" ? sum(await high.depth(), await partitioned.depth(lane)) : partitioned.depth(lane),
  };
}

function split(items: readonly LaneItem[], partitioned: PartitionedLanes): readonly [LaneItem[], LaneItem[]] {
  return [items.filter((item) => partitioned.owns(item)), items.filter((item) => !partitioned.owns(item))];
}

function sum(left: Depth, right: Depth): Depth {
  const ages = [left.oldestAtMs, right.oldestAtMs].filter((atMs) => atMs !== null);
  return { count: left.count + right.count, oldestAtMs: ages.length === 0 ? null : Math.min(...ages) };
}
