/**
 * Whether this process divides the keys as those before it did: with another number of shards most of what is kept would
 * be looked for in the wrong place. Redis keeps the number, written by the first process.
 */
import type { KeySpace } from "./key-space.ts";
import type { RedisCommands } from "./redis-commands.ts";
import { setOnce } from "./set-once.ts";

/** Throws a plain Error that names the setting; `store-unavailable` when Redis does not answer. */
export async function requireShardCount(commands: Pick<RedisCommands, "run">, keys: KeySpace): Promise<void> {
  // The first shard is there with any number of them.
  const kept = Number(await setOnce(commands, keys.key(0, "shards"), String(keys.shards)));
  if (kept === keys.shards) return;
  throw new Error(
    `REDIS_SHARDS is ${keys.shards}, and what lies in this Redis is divided by ${kept}: endpoints, API keys and HIGH events ` +
      `would not be found. Set REDIS_SHARDS=${kept} for every gateway and processor, or name another Redis (REDIS_URL) or ` +
      "another REDIS_PREFIX.",
  );
}
