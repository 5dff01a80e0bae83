/**
 * The key that encrypts endpoint secrets at rest: the setting, else a file made once in the data folder. A database
 * whose key file is gone is refused; a new key would make every secret in it unreadable for good.
 */
import { existsSync } from "node:fs";
import { decodeBase64, encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import { DATABASE_FILE } from "@posthaste/shared/drivers/sqlite/database.ts";
import type { Entropy } from "@posthaste/shared/lib/ambient.ts";
import { dataFile, keepPrivateFile } from "./private-file.ts";

export const MASTER_KEY_FILE = "master.key";
const MASTER_KEY_BYTES = 32;

export interface MasterKey {
  readonly bytes: Uint8Array;
  /** What to tell the reader when the secrets in the folder were not sealed with this key. */
  readonly mismatch: string;
}

export function openMasterKey(options: { folder: string; setting: Uint8Array | null; entropy: Entropy }): MasterKey {
  const { folder, setting, entropy } = options;
  if (setting !== null) {
    return {
      bytes: setting,
      mismatch: `POSTHASTE_MASTER_KEY is not the key that the endpoint secrets in ${folder} were sealed with. Set it to the key it was before, leave it out when there is a ${MASTER_KEY_FILE} in the folder that was in use, or begin with another POSTHASTE_DATA.`,
    };
  }
  const path = dataFile(folder, MASTER_KEY_FILE);
  if (existsSync(dataFile(folder, DATABASE_FILE)) && !existsSync(path)) {
    throw new Error(
      `${path} is missing, and without it the endpoint secrets in ${folder} cannot be read. Put the file back, set POSTHASTE_MASTER_KEY as before, or begin with another POSTHASTE_DATA.`,
    );
  }
  const text = keepPrivateFile(path, String(process.pid), () => encodeBase64(entropy.bytes(MASTER_KEY_BYTES)));
  const key = decodeBase64(text);
  if (key?.length !== MASTER_KEY_BYTES) {
    throw new Error(`${path} does not hold ${MASTER_KEY_BYTES} bytes in base64. Put the right file back.`);
  }
  return {
    bytes: key,
    mismatch: `${path} does not hold the key that the endpoint secrets in ${folder} were sealed with. Put the right file back, set POSTHASTE_MASTER_KEY when it was set before, or begin with another POSTHASTE_DATA.`,
  };
}
