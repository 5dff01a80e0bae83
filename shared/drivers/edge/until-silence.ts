/** The calls of one request: once one had no answer in time, or could not reach Redis, the others do not wait for the same. */
import { isDamage, isStoreUnavailable } from "../../domain/errors.ts";
import type { RedisRequests } from "../redis/client/redis-commands.ts";

/** Those under way already go on. So a request that meets a silent Redis is answered after the time of one call. */
export function untilSilence(run: RedisRequests["run"]): RedisRequests["run"] {
  let silence: { readonly error: unknown } | null = null;
  return async (script, keys, args) => {
    if (silence !== null) throw silence.error;
    try {
      return await run(script, keys, args);
    } catch (error) {
      if (isStoreUnavailable(error) && !isDamage(error)) silence = { error };
      throw error;
    }
  };
}
