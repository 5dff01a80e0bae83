/**
 * What an edge gateway keeps from one request to the next: values alone. Nothing here can be awaited, and nothing ends by itself,
 * for a runtime such as workerd lets no request wait for another one, and runs nothing between them.
 */
import type { Clock } from "../../lib/ambient.ts";
import { Lru } from "../../lib/lru.ts";
import type { ApiKeyCache } from "../redis/api-keys/cache.ts";
import type { CatalogueMemory } from "../redis/event-types/event-types.ts";
import { newCatalogueMemory } from "../redis/event-types/event-types.ts";
import { createApiKeyCache } from "../redis/api-keys/cache.ts";

/** Tenants whose version is remembered. */
const VERSIONS_MAX = 10_000;

export interface EdgeMemory {
  /** API keys as they were last seen, trusted for a moment. */
  readonly apiKeys: ApiKeyCache;
  /** The catalogue of event types as last seen, trusted for half a minute. */
  readonly eventTypes: CatalogueMemory;
  /** Of the directory, by shard, as last seen; at most one for each shard. */
  readonly epochs: Map<number, string>;
  /** The highest version of each tenant that was seen here. */
  readonly versions: Lru<string, number>;
}

export function createEdgeMemory(clock: Pick<Clock, "monotonic">): EdgeMemory {
  return {
    apiKeys: createApiKeyCache(clock),
    eventTypes: newCatalogueMemory(),
    epochs: new Map(),
    versions: new Lru({ countMax: VERSIONS_MAX }),
  };
}
