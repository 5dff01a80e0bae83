/** Is this Redis there, and is it this deployment's? Asked by the first requests of an instance, until one was answered. */
import type { Sealer } from "../../lib/ambient.ts";
import type { KeySpace } from "../redis/client/key-space.ts";
import type { RedisRequests } from "../redis/client/redis-commands.ts";
import { requireShardCount } from "../redis/client/shard-count.ts";
import { requireMasterKey } from "../redis/directory/master-key.ts";
import { createDirectoryStore } from "../redis/directory/store.ts";

/** Requests that come meanwhile ask each for itself. Throws a plain Error that names the setting, or `store-unavailable`. */
export function createEdgeCheck(place: { readonly keys: KeySpace; readonly sealer: Sealer }) {
  let isChecked = false;
  return async (commands: Pick<RedisRequests, "run">): Promise<void> => {
    if (isChecked) return;
    const store = createDirectoryStore({ ...place, commands });
    await Promise.all([requireShardCount(commands, place.keys), requireMasterKey({ ...place, commands, store })]);
    isChecked = true;
  };
}
