/**
 * Names of keys. All keys that one script touches carry the same hash tag `{s<k>}`, k below the number of shards of the
 * deployment (1 unless Redis is a cluster), so that each script stays in one slot. Changing the number moves everything.
 */

export interface KeySpace {
  readonly shards: number;
  /** The shard of a tenant's lane, claims, ledger, stats and directory, or of an API key by its hash. */
  shardOf(subject: string): number;
  /** `<prefix>{s<shard>}<name>`. */
  key(shard: number, name: string): string;
  /** Pub/sub channels lie in no slot. */
  channel(name: string): string;
}

/** Largest number of shards: one loop reads each shard's HIGH list. */
export const SHARDS_MAX = 256;

/** `prefix` is empty in ordinary service; tests are kept apart by it. It must hold no brace. */
export function createKeySpace(options: { readonly shards: number; readonly prefix?: string }): KeySpace {
  const { shards, prefix = "" } = options;
  return {
    shards,
    shardOf: (subject) => (shards === 1 ? 0 : fnv1a(subject) % shards),
    key: (shard, name) => `${prefix}{s${shard}}${name}`,
    channel: (name) => `${prefix}${name}`,
  };
}

/** FNV-1a, 32 bits (draft-eastlake-fnv): the same on every process and release. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
