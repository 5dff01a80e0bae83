/**
 * Notices that Redis lost its API keys (flushed, or begun anew from nothing), and writes back those that this process
 * still knows. Whether another key was there before nobody can tell then: for a day it is not refused but unknown.
 */
import { PosthasteError } from "../../../domain/errors.ts";
import { encodeHex } from "../../../domain/hex.ts";
import type { ApiKey } from "../../../domain/api-key.ts";
import type { Entropy } from "../../../lib/ambient.ts";
import { SingleFlight } from "../../../lib/single-flight.ts";
import type { ApiKeyRecords } from "./store.ts";

/** How long after a loss an unknown key is answered `store-unavailable`: publishers take a refusal for final. */
export const LOSS_NOTED_MS = 24 * 3600 * 1000;
const EPOCH_BYTES = 16;
/** Looks of one question; each but the last may meet a loss and repair it. */
const ROUNDS_MAX = 3;

export interface KeyLosses {
  /** The record, after what was lost is written back. */
  look(hash: string): Promise<ApiKey | null>;
  /** As `look`; throws `store-unavailable` when there is none and it may have been lost. */
  require(hash: string): Promise<ApiKey | null>;
}

export function createKeyLosses(options: {
  readonly records: ApiKeyRecords;
  readonly entropy: Pick<Entropy, "bytes">;
  /** What this process knows. */
  readonly known: () => Iterable<ApiKey>;
  readonly onFault: (error: unknown) => void;
}): KeyLosses {
  const { records, entropy, known, onFault } = options;
  /** By shard, as this process first saw it. */
  const epochs = new Map<number, string>();
  const adopting = new SingleFlight<number, void>(adopt);

  async function adopt(shard: number): Promise<void> {
    if (epochs.has(shard)) {
      onFault(new PosthasteError("store-unavailable", "Redis lost API keys; those known here are written back."));
      await records.noteLoss(shard, LOSS_NOTED_MS);
      for (const key of known()) await restore(records, key);
    }
    epochs.set(shard, await records.beginEpoch(shard, encodeHex(entropy.bytes(EPOCH_BYTES))));
  }

  async function look(hash: string): Promise<{ readonly key: ApiKey | null; readonly isLost: boolean }> {
    const shard = records.shardOf(hash);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const { key, epoch, isLost } = await records.look(hash);
      if (epoch !== null && !epochs.has(shard)) epochs.set(shard, epoch);
      if (epoch !== null && epoch === epochs.get(shard)) return { key, isLost };
      await adopting.share(shard);
    }
    throw new PosthasteError("store-unavailable", "Redis loses its API keys again and again. Try again later.");
  }

  return {
    look: async (hash) => (await look(hash)).key,
    async require(hash) {
      const { key, isLost } = await look(hash);
      if (key === null && isLost) throw lost();
      return key;
    },
  };
}

/** What is there stays as it is: another process may have written it back, and revoked it since. */
async function restore(records: ApiKeyRecords, key: ApiKey): Promise<void> {
  const kept = await records.read(key.hash);
  const current = kept ?? key;
  await records.enlist(current, null, Number.MAX_SAFE_INTEGER);
  await records.writeName(current);
  if (kept === null) await records.write(key);
}

function lost(): PosthasteError {
  return new PosthasteError("store-unavailable", {
    detail:
      "This API key is not known to Redis, which lost its data less than a day ago; whether the key is valid cannot be " +
      "told. An operator restores Redis from a back-up, or makes the key again.",
    retryAfterS: 60,
  });
}
