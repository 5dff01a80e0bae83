/** What the Redis of a deployment, and the one that may evict, say of their memory. */
import type { StoreMemory } from "../../ports/store-gauges.ts";
import type { OpenedRedis } from "../redis/client/ioredis-commands.ts";

/** One that does not answer is left out; never rejects. `cache` is `main` where there is one Redis for all. */
export async function readMemory(
  main: Pick<OpenedRedis, "memory">,
  cache: Pick<OpenedRedis, "memory">,
): Promise<readonly StoreMemory[]> {
  const places = [{ store: "redis", place: main }, ...(cache === main ? [] : [{ store: "redis-cache", place: cache }])];
  const answers = await Promise.all(
    places.map(async ({ store, place }) => ({ store, memory: await place.memory().catch(() => null) })),
  );
  return answers.flatMap(({ store, memory }) => {
    if (memory === null) return [];
    return [{ store, usedBytes: memory.usedBytes, maxBytes: memory.maxBytes === 0 ? null : memory.maxBytes }];
  });
}
