/** `posthaste reseal` on Redis: what is sealed is in no other store. */
import type { DistributedConfig } from "../../domain/distributed-config.ts";
import type { Clock, Entropy, Sealer } from "../../lib/ambient.ts";
import type { ResealReport } from "../../ports/reseal.ts";
import { openRedis } from "../redis/client/ioredis-commands.ts";
import { requireShardCount } from "../redis/client/shard-count.ts";
import { checkRedis } from "../redis/client/startup-check.ts";
import { resealDirectory } from "../redis/directory/reseal.ts";
import { keySpaceOf } from "./shards.ts";

/** Rejects with a plain Error that names the setting, or with `store-unavailable`. */
export async function resealDistributed(options: {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly sealer: Sealer;
  readonly config: DistributedConfig;
  readonly isDryRun: boolean;
}): Promise<ResealReport> {
  const { clock, entropy, sealer, config, isDryRun } = options;
  const url = config.redisUrl;
  await checkRedis({ url, name: "REDIS_URL", role: "lanes", clock });
  await using commands = openRedis({
    url,
    name: "REDIS_URL",
    clock,
    entropy,
    time: "server",
    onFault: () => undefined,
  });
  const keys = keySpaceOf(config, url, "REDIS_URL");
  await requireShardCount(commands, keys);
  return await resealDirectory({ commands, keys, sealer, isDryRun });
}
