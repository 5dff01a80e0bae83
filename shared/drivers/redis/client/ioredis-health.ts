/**
 * Whether a Redis takes writes, without writing. PING is answered by one that is full, that cannot save, or that is a replica
 * by now. A script with a first line of its own that does not say `no-writes` counts as one that writes, so the server refuses
 * it for any of these reasons before it runs (https://redis.io/docs/latest/develop/programmability/lua-api/, Script flags).
 */
import { isDamage, isStoreUnavailable } from "../../../domain/errors.ts";
import type { RedisClient } from "./connect.ts";
import type { RedisCalls } from "./ioredis-calls.ts";
import { sentenceOf } from "./ioredis-calls.ts";

const MAY_WRITE = "#!lua\nreturn 1";

/**
 * Null, or one sentence on the first server that does not answer or refuses. A Redis before 7.0 does not know that first line
 * and says so: it answers, and no more is known of it.
 */
export async function healthOf(
  parts: { readonly client: RedisClient; readonly calls: RedisCalls; readonly name: string },
  keys: readonly string[],
): Promise<string | null> {
  const { client, calls, name } = parts;
  const answers = await Promise.allSettled(keys.map((key) => calls.ask(() => client.eval(MAY_WRITE, 1, key))));
  for (const answer of answers) {
    const isWell = answer.status === "fulfilled" || !isStoreUnavailable(answer.reason) || isDamage(answer.reason);
    if (!isWell) return sentenceOf(answer.reason, name);
  }
  return null;
}
