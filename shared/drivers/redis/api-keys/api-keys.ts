/**
 * API keys in Redis, by hash, with those in use in the process: synchronous for 1 s after a question to Redis, so that a
 * revocation holds on every gateway within 1 s. While Redis is away a key that is known here is used for up to 10 min
 * more; any other is refused with `store-unavailable`.
 */
import type { ApiKey } from "../../../domain/api-key.ts";
import { API_KEYS_ENDED_MAX, API_KEYS_PER_TENANT_MAX } from "../../../domain/api-key.ts";
import { PosthasteError, isStoreUnavailable } from "../../../domain/errors.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import type { ApiKeyStore } from "../../../ports/api-keys.ts";
import type { ApiKeyCache } from "./cache.ts";
import { createApiKeyCache, KEY_TRUSTED_MS } from "./cache.ts";
import type { Notifier } from "../../../ports/notifier.ts";
import { createRecentChanges } from "./recent-changes.ts";
import type { KeyLosses } from "./losses.ts";
import { openKeyLosses } from "./losses.ts";
import type { ApiKeyRecords, KeyRecord } from "./store.ts";
import { createApiKeyRecords } from "./store.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisCommands } from "../client/redis-commands.ts";

/** Keys that are being asked for at one time; past it a look-up is refused with `overloaded`. */
export const LOOKUPS_MAX = 10_000;

export interface RedisApiKeyStoreOptions {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  readonly clock: Clock;
  /** Usable keys of one tenant, and as many ended ones. */
  readonly keysMax?: number;
  /** Ended keys of all tenants of a shard. */
  readonly endedMax?: number;
  /** Called on each `find`: true when it was answered from the process. Must not throw. */
  readonly onCache?: (isHit: boolean) => void;
  readonly entropy: Pick<Entropy, "bytes">;
  /** Asked of a shard that has no epoch at the start: was it in use before, and emptied? No unless told. */
  readonly wasEmptied?: (shard: number) => Promise<boolean>;
  /** Told of a Redis that lost keys. Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Says when this process was cut off from Redis, which may be another one since. */
  readonly notifier: Pick<Notifier, "subscribe">;
}

/** Throws `store-unavailable` when Redis does not answer. */
export async function openRedisApiKeyStore(options: RedisApiKeyStoreOptions): Promise<ApiKeyStore & Disposable> {
  const { clock } = options;
  const store = createApiKeyRecords(options);
  const cache = createApiKeyCache(clock);
  const losses = await openKeyLosses({
    records: store,
    entropy: options.entropy,
    known: cache.known,
    knownOf: cache.knownOf,
    wasEmptied: options.wasEmptied ?? (() => Promise.resolve(false)),
    onFault: options.onFault,
  });
  const changes = createRecentChanges({ clock, look: (hash) => losses.look(hash) });
  const unsubscribe = options.notifier.subscribe(({ kind }) => {
    if (kind === "some-were-lost") changes.lookNow();
  });
  return {
    ...createApiKeyStore({ ...options, store, cache, losses, onChanged: changes.note }),
    [Symbol.dispose]() {
      unsubscribe();
      changes[Symbol.dispose]();
    },
  };
}

/** Questions under way are shared by those who use the same store. What it keeps between them lies in `cache`. */
export function createApiKeyStore(
  options: Pick<RedisApiKeyStoreOptions, "clock" | "keysMax" | "endedMax" | "onCache"> & {
    readonly store: ApiKeyRecords;
    readonly cache: ApiKeyCache;
    readonly losses: KeyLosses;
    /** A key was saved or revoked here. */
    readonly onChanged: (hash: string) => void;
  },
): ApiKeyStore {
  const { clock, store, cache, losses, onChanged } = options;
  const { keysMax = API_KEYS_PER_TENANT_MAX, onCache = () => undefined } = options;
  const ended = { tenantMax: keysMax, shardMax: options.endedMax ?? API_KEYS_ENDED_MAX };
  /**
   * One question for each hash, shared by whoever comes while its answer would be trusted. A later question, or a change
   * of the key, takes its place: its answer is not kept.
   */
  const reads = new Map<string, PendingRead>();

  function lookUp(hash: string): Promise<ApiKey | null> {
    if (reads.size >= LOOKUPS_MAX) {
      return Promise.reject(new PosthasteError("overloaded", "Too many API keys are being looked up. Try again."));
    }
    const askedAt = clock.monotonic();
    const isCurrent = (): boolean => reads.get(hash) === pendingRead;
    const answer: Promise<ApiKey | null> = losses
      .require(hash)
      .then(
        (record) => {
          if (isCurrent()) cache.keep(hash, record, askedAt);
          return record?.key ?? null;
        },
        (error: unknown) => useStale(hash, error),
      )
      .finally(() => {
        if (isCurrent()) reads.delete(hash);
      });
    const pendingRead: PendingRead = { answer, askedAt };
    reads.set(hash, pendingRead);
    return answer;
  }

  function useStale(hash: string, error: unknown): ApiKey {
    const key = isStoreUnavailable(error) ? cache.stale(hash) : null;
    if (key === null) throw error;
    return key;
  }

  async function forgetEnded(tenant: string | null): Promise<void> {
    for (const hash of await store.dropEnded(tenant, ended)) cache.drop(hash);
  }

  function replace(record: KeyRecord, askedAt: number): void {
    const { hash } = record.key;
    reads.delete(hash);
    cache.keep(hash, record, askedAt);
    onChanged(hash);
  }

  return {
    find(hash) {
      const cached = cache.trusted(hash);
      onCache(cached !== null);
      if (cached !== null) return Promise.resolve(cached.key);
      const pendingRead = reads.get(hash);
      const isRecent = pendingRead !== undefined && clock.monotonic() - pendingRead.askedAt < KEY_TRUSTED_MS;
      return isRecent ? pendingRead.answer : lookUp(hash);
    },
    async save(key) {
      const askedAt = clock.monotonic();
      replace(await save(store, key, await losses.look(key.hash), keysMax), askedAt);
      await forgetEnded(key.tenant);
    },
    list: (tenant, limit, cursor) => store.list(tenant, limit, cursor),
    async revoke(tenant, keyId, atMs) {
      const askedAt = clock.monotonic();
      const record = await revoke(store, losses, { tenant, keyId, atMs });
      if (record === null) return null;
      const { key } = record;
      replace(record, askedAt);
      await store.enlistRevoked(key);
      await forgetEnded(key.tenant);
      return key;
    },
  };
}

interface PendingRead {
  readonly answer: Promise<ApiKey | null>;
  /** By `Clock.monotonic`. */
  readonly askedAt: number;
}

/** The record is last: what can be used is listed, and can be revoked. A crash before leaves a key that nobody was told. */
async function save(store: ApiKeyRecords, key: ApiKey, before: KeyRecord | null, keysMax: number): Promise<KeyRecord> {
  const old = before?.key ?? null;
  if (!(await store.enlist(key, old, keysMax))) {
    throw new PosthasteError("limit-reached", `There are ${keysMax} usable API keys already. Revoke one first.`);
  }
  await store.writeName(key);
  const record = await store.write(key, before?.revision ?? 0);
  if (old !== null && old.tenant !== key.tenant) await store.unlist(old);
  if (old !== null && old.id !== key.id) await store.dropName(old.id);
  return record;
}

/** The record is first: the key must not be usable for a moment longer than its list says. */
async function revoke(
  store: ApiKeyRecords,
  losses: Pick<KeyLosses, "look">,
  wish: { readonly tenant: string | null; readonly keyId: string; readonly atMs: number },
): Promise<KeyRecord | null> {
  const { tenant, keyId, atMs } = wish;
  const hash = await store.hashOf(keyId);
  if (hash === null) return null;
  const found = await losses.look(hash);
  if (found === null || found.key.id !== keyId || (tenant !== null && found.key.tenant !== tenant)) return null;
  return await store.revoke(hash, atMs, found.revision);
}
