/**
 * Notices that Redis lost its API keys (flushed, or begun anew from nothing), and writes back those that this process
 * still knows. Whether another key was there before nobody can tell then: for a day it is not refused but unknown.
 *
 * Notices as well that Redis went back to an older state of a key, as a replica does that was promoted before it had the
 * last changes: a revocation that this process knows is written back and holds.
 */
import { PosthasteError, storeFault } from "../../../domain/errors.ts";
import { encodeHex } from "../../../domain/hex.ts";
import type { Entropy } from "../../../lib/ambient.ts";
import { SingleFlight } from "../../../lib/single-flight.ts";
import type { ApiKeyRecords, KeyRecord } from "./store.ts";

/** How long after a loss an unknown key is answered `store-unavailable`: publishers take a refusal for final. */
export const LOSS_NOTED_MS = 24 * 3600 * 1000;
const EPOCH_BYTES = 16;
/** Looks of one question; each but the last may meet a loss and repair it. */
const ROUNDS_MAX = 3;

export interface KeyLosses {
  /** The record, after what was lost is written back. */
  look(hash: string): Promise<KeyRecord | null>;
  /**
   * As `look`; throws `store-unavailable` when there is none and it may have been lost, and of a key that this process knows
   * also as soon as Redis is silent.
   */
  require(hash: string): Promise<KeyRecord | null>;
}

/** Reads the epochs of all shards, so that a loss is known as one from now on, and makes those that are missing. */
export async function openKeyLosses(options: {
  readonly records: ApiKeyRecords;
  readonly entropy: Pick<Entropy, "bytes">;
  /** What this process knows. */
  readonly known: () => Iterable<KeyRecord>;
  readonly knownOf: (hash: string) => KeyRecord | null;
  /** Asked of a shard that has no epoch at the start: was it in use before? Then it may have lost keys before this process came. */
  readonly wasEmptied: (shard: number) => Promise<boolean>;
  readonly onFault: (error: unknown) => void;
}): Promise<KeyLosses> {
  const { records, entropy, known, knownOf, onFault } = options;
  /** By shard, as this process saw it last. */
  const epochs = new Map<number, string>();
  const adopting = new SingleFlight<number, void>(adopt);

  async function adopt(shard: number): Promise<void> {
    if (epochs.has(shard)) {
      onFault(storeFault("Redis lost API keys; those known here are written back."));
      await records.noteLoss(shard, LOSS_NOTED_MS);
      for (const record of known()) await restore(records, record);
    } else if (await options.wasEmptied(shard)) await records.noteLoss(shard, LOSS_NOTED_MS);
    epochs.set(shard, await records.beginEpoch(shard, encodeHex(entropy.bytes(EPOCH_BYTES))));
  }

  async function begin(shard: number): Promise<void> {
    const found = await records.epoch(shard);
    if (found === null) await adopting.share(shard);
    else epochs.set(shard, found);
  }

  async function look(
    hash: string,
    canDoWithout: boolean,
  ): Promise<{ readonly record: KeyRecord | null; readonly isLost: boolean }> {
    const shard = records.shardOf(hash);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      // What is learnt while the question is under way says nothing against its answer.
      const seen = knownOf(hash);
      const { record, epoch, isLost } = await records.look(hash, canDoWithout && seen !== null);
      if (epoch !== null && epoch === epochs.get(shard)) return { record: await newest(seen, record), isLost };
      await adopting.share(shard);
    }
    throw storeFault("Redis loses its API keys again and again.");
  }

  /** What Redis shows, unless this process had seen a newer state of it. */
  async function newest(seen: KeyRecord | null, found: KeyRecord | null): Promise<KeyRecord | null> {
    if (seen === null || seen.revision <= (found?.revision ?? -1)) return found;
    // Revoked keys fall out of Redis when there are too many of them.
    if (found === null && seen.key.revokedAtMs !== null) return null;
    onFault(storeFault("Redis went back to an older state of an API key; it is written back."));
    return await restore(records, seen);
  }

  await Promise.all(Array.from({ length: records.shards }, (_, shard) => begin(shard)));
  return keyLossesBy(look);
}

/** `canDoWithout`: whoever asks has another way when Redis is silent about a key that this process knows. */
type Look = (
  hash: string,
  canDoWithout: boolean,
) => Promise<{ readonly record: KeyRecord | null; readonly isLost: boolean }>;

/** Of what `look` finds: a key that is not there and may have been lost is unknown, and not absent. */
export function keyLossesBy(look: Look): KeyLosses {
  return {
    look: async (hash) => (await look(hash, false)).record,
    async require(hash) {
      const { record, isLost } = await look(hash, true);
      if (record === null && isLost) throw lost();
      return record;
    },
  };
}

/** What is there and as new stays as it is: another process may have written it back, and changed it since. */
async function restore(records: ApiKeyRecords, record: KeyRecord): Promise<KeyRecord> {
  const current = await records.restore(record);
  await records.enlist(current.key, null, Number.MAX_SAFE_INTEGER);
  await records.writeName(current.key);
  return current;
}

/** A key is not there, and may have been. */
function lost(): PosthasteError {
  return new PosthasteError("store-unavailable", {
    detail:
      "Whether this API key is valid cannot be told: keys were lost less than a day ago. The operator restores them from " +
      "a back-up, or makes this one again.",
    logged: "An API key is not known to Redis, which lost its data less than a day ago.",
    retryAfterS: 60,
  });
}
