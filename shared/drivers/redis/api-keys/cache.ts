/**
 * API keys as this process last saw them. An answer is trusted for a moment and asked for again after it; while the store
 * is away a known key is used on, for a bounded time. Keys that are not there have entries of their own, so that
 * guessing at keys never pushes out real ones.
 */
import type { ApiKey } from "../../../domain/api-key.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { Lru } from "../../../lib/lru.ts";

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
  /** `askedAt` by `Clock.monotonic`. */
  keep(hash: string, key: ApiKey | null, askedAt: number): void;
  drop(hash: string): void;
  /** All keys that are known here, revoked ones too; for a Redis that lost them. */
  known(): readonly ApiKey[];
  readonly size: number;
}

interface Entry extends CachedKey {
  readonly askedAt: number;
  readonly trustedUntil: number;
}

export function createApiKeyCache(clock: Pick<Clock, "monotonic">): ApiKeyCache {
  /** A use is a question to the store: an answer from here moves nothing. */
  const known = new Lru<string, Entry>({ countMax: KNOWN_KEYS_MAX });
  const absent = new Lru<string, Entry>({ countMax: ABSENT_KEYS_MAX });

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
    keep(hash, key, askedAt) {
      const entry: Entry = { key, askedAt, trustedUntil: askedAt + KEY_TRUSTED_MS };
      (key === null ? known : absent).delete(hash);
      if (key === null) absent.set(hash, entry);
      else known.set(hash, entry);
    },
    drop(hash) {
      known.delete(hash);
      absent.delete(hash);
    },
    known: () => [...known.keys()].flatMap((hash) => known.peek(hash)?.key ?? []),
    get size() {
      return known.size + absent.size;
    },
  };
}
