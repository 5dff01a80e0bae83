/** The HIGH lane of Redis, with the bounds of the set. */
import type { Clock, Entropy } from "../../lib/ambient.ts";
import type { KeySpace } from "../redis/client/key-space.ts";
import type { RedisCommands } from "../redis/client/redis-commands.ts";
import type { HighLane, HighLaneOptions } from "../redis/high-lane/high-lane.ts";
import { HIGH_LANE_BOUNDS } from "../redis/high-lane/append.ts";
import { createRedisHighLane } from "../redis/high-lane/high-lane.ts";
import type { StoreBounds } from "./store-bounds.ts";

export interface HighLaneParts {
  readonly main: { readonly commands: RedisCommands; readonly keys: KeySpace };
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly bounds: Pick<StoreBounds, "high" | "highHeldMs">;
  readonly onFault: (error: unknown) => void;
}

export function openHighLane(options: HighLaneParts, onPoison: HighLaneOptions["onPoison"]): HighLane {
  const { main, clock, entropy, onFault, bounds } = options;
  return createRedisHighLane({
    ...main,
    clock,
    entropy,
    bounds: bounds.high ?? HIGH_LANE_BOUNDS,
    onPoison,
    onFault,
    ...(bounds.highHeldMs === undefined ? {} : { leaseMs: bounds.highHeldMs, presenceMs: bounds.highHeldMs }),
  });
}
