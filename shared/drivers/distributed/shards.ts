/** How the keys of a deployment are shared out. */
import type { DistributedConfig } from "../../domain/distributed-config.ts";
import type { KeySpace } from "../redis/client/key-space.ts";
import { createKeySpace } from "../redis/client/key-space.ts";
import { parseRedisUrl } from "../redis/client/redis-url.ts";

/** Shards of a cluster unless the settings say otherwise. */
const CLUSTER_SHARDS = 16;

/** `name` is the setting that `url` comes from. */
export function keySpaceOf(config: DistributedConfig, url: string, name: string): KeySpace {
  const isCluster = parseRedisUrl(url, name).kind === "cluster";
  const shards = config.redisShards ?? (isCluster ? CLUSTER_SHARDS : 1);
  return createKeySpace({ shards, prefix: config.redisPrefix });
}
