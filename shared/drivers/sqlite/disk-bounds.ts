/** Bounds of the embedded set that follow from the settings and the size of the data folder's disk. */
import { statfsSync } from "node:fs";

import { CLAIM_BYTES_MAX } from "../../ports/claims.ts";
import { DATABASE_BYTES_MAX } from "./retention.ts";

/** Of the disk, used or not, so that the bound is the same at each start. */
const CLAIM_DISK_SHARE = 0.1;
const CLAIM_BYTES_BY_DISK_MAX = 32 * 1024 ** 3;

/** `claimBytesMax` null: a tenth of the disk, 4 GiB at least and 32 GiB at most. */
export function diskBounds(
  folder: string,
  claimBytesMax: number | null,
): { readonly claimBytesMax: number; readonly databaseBytesMax: number } {
  const claims = claimBytesMax ?? claimBytesOf(diskBytes(folder));
  // What is kept of events beside the claims stays as large as it is without the wish.
  return { claimBytesMax: claims, databaseBytesMax: DATABASE_BYTES_MAX + claims - CLAIM_BYTES_MAX };
}

export function claimBytesOf(bytesOfDisk: number): number {
  return Math.min(Math.max(CLAIM_BYTES_MAX, Math.floor(bytesOfDisk * CLAIM_DISK_SHARE)), CLAIM_BYTES_BY_DISK_MAX);
}

/** Zero where the system does not say. */
function diskBytes(folder: string): number {
  try {
    const { blocks, bsize } = statfsSync(folder);
    return blocks * bsize;
  } catch {
    return 0;
  }
}
