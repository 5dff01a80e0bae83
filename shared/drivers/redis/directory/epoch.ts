/**
 * The epoch of a shard of the directory: a random word that is made once. Another one, or none, says that this Redis is not
 * the one that was read before. One that was made because what was there before is gone says when: `<word>@<ms>`.
 */
import { encodeHex } from "../../../domain/hex.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";

/** How long after a loss a tenant without any endpoint counts as one whose endpoints are not known. */
export const LOSS_NOTED_MS = 24 * 3600 * 1000;

const EPOCH_BYTES = 16;
const LOST_AT = /^[0-9a-f]{32}@(\d{1,15})$/;

export function freshEpoch(entropy: Pick<Entropy, "bytes">, clock: Pick<Clock, "now">, isLoss: boolean): string {
  const word = encodeHex(entropy.bytes(EPOCH_BYTES));
  return isLoss ? `${word}@${Math.floor(clock.now())}` : word;
}

/** Epoch ms; null: nothing was lost before it, as far as anybody knows. */
export function lostAtMs(epoch: string): number | null {
  const digits = LOST_AT.exec(epoch)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The loss that still keeps tenants from being known, or null. */
export function recentLoss(epoch: string, clock: Pick<Clock, "now">): number | null {
  const atMs = lostAtMs(epoch);
  return atMs !== null && clock.now() < atMs + LOSS_NOTED_MS ? atMs : null;
}
