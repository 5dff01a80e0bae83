/**
 * What a gateway without TCP accepts, and how it comes to the processors: HIGH by its lane's own script, MEDIUM and LOW to the
 * spool, which each processor's relay moves to Kafka. The spool is bounded and never trimmed; past its bound LOW is refused first.
 * It takes nothing, and keeps nothing that another request could wait for.
 */
import { SPOOL_BYTES_MAX } from "../../domain/distributed-config.ts";
import type { Envelope } from "../../domain/envelope.ts";
import { laneOf } from "../../domain/envelope.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { Lanes } from "../../ports/lanes.ts";
import { createAppend } from "../distributed/append.ts";
import { LANE_TOPICS } from "../distributed/topics.ts";
import { appendParts } from "../../ports/append-parts.ts";
import { recordOf, withoutCopies } from "../partitioned/lanes/lane-records.ts";
import type { KeySpace } from "../redis/client/key-space.ts";
import type { RedisRequests } from "../redis/client/redis-commands.ts";
import type { LaneBounds } from "../redis/high-lane/append.ts";
import { HIGH_LANE_BOUNDS, createLaneAppend } from "../redis/high-lane/append.ts";
import type { RedisLedger } from "../redis/ledger/ledger.ts";
import { createSpoolAppend } from "../redis/spool/append.ts";

export interface EdgeAppendOptions {
  readonly commands: Pick<RedisRequests, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "now">;
  /** Where nothing may be shared between requests, one of the request's own: what it is told at one time it tells Redis together. */
  readonly ledger: Pick<RedisLedger, "remember" | "forget">;
  /** Over all shards; `HIGH_LANE_BOUNDS`. Processors have the same. */
  readonly highBounds?: LaneBounds;
  /** Over all shards; `SPOOL_BYTES_MAX`. */
  readonly spoolBytesMax?: number;
  /** The ledger could not be told: what was accepted is shown once a processor has something to record of it. Must not throw. */
  readonly onFault: (error: unknown) => void;
}

/**
 * As the port says, but for the fall-backs: without Redis it rejects with `store-unavailable`. All events of a lane go in one call for
 * each shard, in their order, and are kept together; those of several shards that failed may be kept in part all the same.
 */
export function createEdgeAppend(options: EdgeAppendOptions): Lanes["append"] {
  const { commands, keys, clock, ledger, onFault, highBounds = HIGH_LANE_BOUNDS } = options;
  const spool = createSpoolAppend({ commands, keys, bytesMax: options.spoolBytesMax ?? SPOOL_BYTES_MAX });

  async function spoolAll(envelopes: readonly Envelope[]): Promise<void> {
    const timestampMs = clock.now();
    const ofMedium = envelopes.filter((envelope) => laneOf(envelope) === "medium");
    const ofLow = envelopes.filter((envelope) => laneOf(envelope) === "low");
    await appendParts([ofMedium, ofLow], async (part) => {
      const lane = part === ofMedium ? "medium" : "low";
      const records = withoutCopies(part).map((envelope) => recordOf(envelope, LANE_TOPICS[lane], timestampMs));
      if (records.length > 0) await spool(records, lane);
    });
  }

  return createAppend({
    high: createLaneAppend({ commands, keys, clock: null, lane: "high", bounds: highBounds, share: 1 }),
    others: spoolAll,
    known: {
      remember: (envelopes) =>
        ledger.remember(envelopes).catch((error: unknown) => {
          onFault(error);
          return null;
        }),
      // Later there may be nobody left who could tell it.
      rememberLater: () => undefined,
      forget: (envelopes) => ledger.forget(envelopes).catch(onFault),
    },
  });
}
