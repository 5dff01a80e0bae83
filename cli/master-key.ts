/**
 * The key that encrypts endpoint secrets at rest: the setting, else a file made once in the data folder. A database
 * whose key file is gone is refused; a new key would make every secret in it unreadable for good.
 */
import { existsSync } from "node:fs";
import { decodeBase64, encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import type { Config } from "@posthaste/shared/domain/config.ts";
import { DATABASE_FILE } from "@posthaste/shared/drivers/sqlite/database.ts";
import type { FurtherKeys } from "@posthaste/shared/drivers/system.ts";
import type { Entropy } from "@posthaste/shared/lib/ambient.ts";
import { dataFile, keepPrivateFile, readPrivateFile } from "./private-file.ts";

export const MASTER_KEY_FILE = "master.key";
/** The key to come, while `posthaste reseal` is at work or was killed at it. */
export const NEXT_KEY_FILE = "master.key.next";
export const MASTER_KEY_BYTES = 32;

export interface MasterKey {
  readonly bytes: Uint8Array;
  /** They open, and do not seal. */
  readonly further: FurtherKeys;
  /** What to tell the reader when the secrets in the folder were not sealed with this key. */
  readonly mismatch: string;
}

export function openMasterKey(options: {
  readonly folder: string;
  readonly config: Pick<Config, "masterKey" | "masterKeyPrevious" | "masterKeyNext">;
  readonly entropy: Entropy;
}): MasterKey {
  const { folder, entropy } = options;
  const { masterKey: setting, masterKeyPrevious: previous, masterKeyNext } = options.config;
  const path = dataFile(folder, MASTER_KEY_FILE);
  if (setting !== null) {
    return {
      bytes: setting,
      further: { previous, next: masterKeyNext },
      mismatch: `POSTHASTE_MASTER_KEY is not the key that the endpoint secrets in ${folder} were sealed with. Set it to the key it was before, leave it out when there is a ${MASTER_KEY_FILE} in the folder that was in use, or begin with another POSTHASTE_DATA. While it is changed, set POSTHASTE_MASTER_KEY_PREVIOUS to the one before until \`posthaste reseal\` is done.`,
    };
  }
  if (existsSync(dataFile(folder, DATABASE_FILE)) && !existsSync(path)) {
    throw new Error(
      `${path} is missing, and without it the endpoint secrets in ${folder} cannot be read. Put the file back, set POSTHASTE_MASTER_KEY as before, or begin with another POSTHASTE_DATA.`,
    );
  }
  const text = keepPrivateFile(path, String(process.pid), () => encodeBase64(entropy.bytes(MASTER_KEY_BYTES)));
  return {
    bytes: keyOf(path, text),
    further: { previous, next: masterKeyNext ?? readKeyFile(dataFile(folder, NEXT_KEY_FILE)) },
    mismatch: `${path} does not hold the key that the endpoint secrets in ${folder} were sealed with. Put the right file back, set POSTHASTE_MASTER_KEY when it was set before, or begin with another POSTHASTE_DATA.`,
  };
}

/** Null when there is no such file. */
export function readKeyFile(path: string): Uint8Array | null {
  const text = readPrivateFile(path);
  return text === null ? null : keyOf(path, text);
}

function keyOf(path: string, text: string): Uint8Array {
  const key = decodeBase64(text);
  if (key?.length === MASTER_KEY_BYTES) return key;
  throw new Error(`${path} does not hold ${MASTER_KEY_BYTES} bytes in base64. Put the right file back.`);
}
