/** A HIGH lane in real time with short leases, for the crash test and its children. */
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import type { HighLane } from "@posthaste/shared/drivers/redis/high-lane/high-lane.ts";
import { HIGH_LANE_BOUNDS } from "@posthaste/shared/drivers/redis/high-lane/append.ts";
import { createRedisHighLane } from "@posthaste/shared/drivers/redis/high-lane/high-lane.ts";
import { openRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import type { RedisCommands } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";

/** The test waits for it once for each that is killed last; much longer than a busy machine lets a process wait. */
const LEASE_MS = 2000;

/** REDIS_URL of the environment names the server. */
export function openCrashLane(prefix: string): { readonly lane: HighLane; readonly commands: RedisCommands } {
  const url = process.env["REDIS_URL"];
  if (url === undefined) throw new Error("REDIS_URL is not set: this test needs a real Redis");
  const onFault = (): void => undefined;
  const commands = openRedis({ url, clock: systemClock, entropy: systemEntropy, time: "server", onFault });
  const lane = createRedisHighLane({
    commands,
    keys: createKeySpace({ shards: 1, prefix }),
    clock: systemClock,
    entropy: systemEntropy,
    bounds: HIGH_LANE_BOUNDS,
    onPoison: () => undefined,
    onFault,
    leaseMs: LEASE_MS,
  });
  return { lane, commands };
}
