/** The API keys of the distributed set: those of Redis, whose changes of one process are made one after another. */
import type { ApiKeyStore } from "../../ports/api-keys.ts";
import type { RedisApiKeyStoreOptions } from "../redis/api-keys/api-keys.ts";
import { openRedisApiKeyStore } from "../redis/api-keys/api-keys.ts";
import { inOrder } from "./ordered-keys.ts";
import type { StoreBounds } from "./store-bounds.ts";

export async function openApiKeys(
  options: Omit<RedisApiKeyStoreOptions, "keysMax" | "endedMax"> & { readonly bounds: StoreBounds },
): Promise<ApiKeyStore & Disposable> {
  const { apiKeysMax, apiKeysEndedMax } = options.bounds;
  const store = await openRedisApiKeyStore({
    ...options,
    ...(apiKeysMax === undefined ? {} : { keysMax: apiKeysMax }),
    ...(apiKeysEndedMax === undefined ? {} : { endedMax: apiKeysEndedMax }),
  });
  return { ...inOrder(store), [Symbol.dispose]: () => store[Symbol.dispose]() };
}
