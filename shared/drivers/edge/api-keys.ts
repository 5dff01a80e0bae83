/**
 * API keys over HTTP. As on any gateway a key is trusted for 1 s. What Redis lost is not written back from here: programs that stay
 * do that. Until then a key that is not found is unknown, and not refused.
 */
import { storeFault } from "../../domain/errors.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { ApiKeyStore } from "../../ports/api-keys.ts";
import { createApiKeyStore } from "../redis/api-keys/api-keys.ts";
import type { ApiKeyCache } from "../redis/api-keys/cache.ts";
import type { KeyLosses } from "../redis/api-keys/losses.ts";
import { keyLossesBy } from "../redis/api-keys/losses.ts";
import type { ApiKeyRecords, KeyRecord } from "../redis/api-keys/store.ts";
import { createApiKeyRecords } from "../redis/api-keys/store.ts";
import type { EdgePlace } from "./place.ts";

/** For one request: those who look a key up in it share a question, and nobody else does. */
export function createEdgeApiKeys(
  options: EdgePlace & {
    readonly clock: Clock;
    readonly cache: ApiKeyCache;
    readonly onCache: (isHit: boolean) => void;
    readonly keysMax?: number;
    readonly endedMax?: number;
  },
): ApiKeyStore {
  const store = createApiKeyRecords(options);
  return createApiKeyStore({
    ...options,
    store,
    losses: createLossesSeen(store, options.cache),
    onChanged: () => undefined,
  });
}

/** Sees a loss and repairs nothing. */
function createLossesSeen(store: ApiKeyRecords, cache: ApiKeyCache): KeyLosses {
  return keyLossesBy(async (hash, canDoWithout) => {
    const seen = cache.knownOf(hash);
    const { record, epoch, isLost } = await store.look(hash, canDoWithout && seen !== null);
    return { record: newest(seen, record), isLost: isLost || epoch === null };
  });
}

/** Of a Redis that went back to an older state of a key the newer one holds; a key that was there and is gone is not known. */
function newest(seen: KeyRecord | null, found: KeyRecord | null): KeyRecord | null {
  if (seen === null || seen.revision <= (found?.revision ?? -1)) return found;
  if (found === null && seen.key.revokedAtMs === null) throw storeFault("Redis lost an API key that was seen here.");
  return found === null ? null : seen;
}
