/**
 * API keys as this process last saw them. An answer is trusted for a moment and asked for again after it; while the store
 * is away a known key is used on, for a bounded time. Keys that are not there have entries of their own, so that
 * guessing at keys never pushes out real ones.
 */
import type { ApiKey } from "../../../domain/api-key.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { Lru } from "../../../lib/lru.ts";
import type { KeyRecord } from "./store.ts";

/** Counted from before the question, so that a revocation holds everywhere after this. */
export const KEY_TRUSTED_MS = 1000;
/** How long a known key is used while Redis cannot be asked; a revocation may wait as long. */
export const KEY_STALE_MS_MAX = 10 * 60 * 1000;
/** Together 10,000. */
export const KNOWN_KEYS_MAX = 8000;
export const ABSENT_KEYS_MAX = 2000;

export interface CachedKey {
  readonly key: ApiKey | null;
}

export interface ApiKeyCache {
  /** Null: not here, or no longer to be trusted. */
  trusted(hash: string): CachedKey | null;
  /** A known key that may be used although it could not be asked for again; trusted for a moment from now. */
  stale(hash: string): ApiKey | null;
  /** Null: there is no such key. `askedAt` by `Clock.monotonic`. */
  keep(hash: string, record: KeyRecord | null, askedAt: number): void;
  drop(hash: string): void;
  /** All keys that are known here, revoked ones too; for a Redis that lost them. */
  known(): readonly KeyRecord[];
  /** As it was last seen, however long ago. */
  knownOf(hash: string): KeyRecord | null;
  readonly size: number;
}

interface Entry extends CachedKey {
  readonly revision: number;
  readonly askedAt: number;
  readonly trustedUntil: number;
}

export function createApiKeyCache(clock: Pick<Clock, "monotonic">): ApiKeyCache {
  /** A use is a question to the store: an answer from here moves nothing. */
  const known = new Lru<string, Entry>({ countMax: KNOWN_KEYS_MAX });
  const absent = new Lru<string, Entry>({ countMax: ABSENT_KEYS_MAX });

  function knownOf(hash: string): KeyRecord | null {
    const { key = null, revision = 0 } = known.peek(hash) ?? {};
    return key === null ? null : { key, revision };
  }

  return {
    trusted(hash) {
      const entry = known.peek(hash) ?? absent.peek(hash);
      return entry !== undefined && clock.monotonic() < entry.trustedUntil ? entry : null;
    },
    stale(hash) {
      const entry = known.peek(hash);
      const now = clock.monotonic();
      if (entry === undefined || now - entry.askedAt >= KEY_STALE_MS_MAX) return null;
      const trustedUntil = Math.min(now + KEY_TRUSTED_MS, entry.askedAt + KEY_STALE_MS_MAX);
      known.set(hash, { ...entry, trustedUntil });
      return entry.key;
    },
    keep(hash, record, askedAt) {
      const { key, revision } = record ?? { key: null, revision: 0 };
      const entry: Entry = { key, revision, askedAt, trustedUntil: askedAt + KEY_TRUSTED_MS };
      (key === null ? known : absent).delete(hash);
      if (key === null) absent.set(hash, entry);
      else known.set(hash, entry);
    },
    drop(hash) {
      known.delete(hash);
      absent.delete(hash);
    },
    known: () => [...known.keys()].flatMap((hash) => knownOf(hash) ?? []),
    knownOf,
    get size() {
      return known.size + absent.size;
    },
  };
}
