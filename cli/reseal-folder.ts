/**
 * `posthaste reseal` on the data folder of a stopped process. With `POSTHASTE_MASTER_KEY` set that is the new key; else a new
 * one is made beside `master.key` and takes its place at the end. A start in between opens what either sealed.
 */
import { existsSync, linkSync, renameSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import type { Config } from "@posthaste/shared/domain/config.ts";
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import { DATABASE_FILE } from "@posthaste/shared/drivers/sqlite/database.ts";
import { resealFile } from "@posthaste/shared/drivers/sqlite/reseal.ts";
import { createSealer, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import type { ResealReport } from "@posthaste/shared/ports/reseal.ts";
import { MASTER_KEY_BYTES, MASTER_KEY_FILE, NEXT_KEY_FILE, readKeyFile } from "./master-key.ts";
import { dataFile, keepPrivateFile, syncFolder } from "./private-file.ts";

/** The key before the last change, for the restore of a back-up from before it. */
export const PREVIOUS_KEY_FILE = "master.key.previous";

export interface FolderReseal {
  readonly report: ResealReport;
  /** What the reader does next, in a sentence. */
  readonly after: string;
}

/** Throws a plain Error that says what to mend. */
export function resealFolder(config: Config, isDryRun: boolean): FolderReseal {
  const folder = resolve(config.dataFolder);
  if (!existsSync(dataFile(folder, DATABASE_FILE))) {
    throw new Error(`There is no ${DATABASE_FILE} in ${folder}. Name the data folder in POSTHASTE_DATA.`);
  }
  return config.masterKey === null ? ofFile(folder, isDryRun) : ofSetting(folder, config, config.masterKey, isDryRun);
}

function ofSetting(folder: string, config: Config, masterKey: Uint8Array, isDryRun: boolean): FolderReseal {
  const previous = config.masterKeyPrevious ?? readKeyFile(dataFile(folder, MASTER_KEY_FILE));
  if (previous === null) {
    throw new ConfigError([
      `POSTHASTE_MASTER_KEY_PREVIOUS is missing, and there is no ${MASTER_KEY_FILE} in ${folder}: reseal needs the key that the endpoints are sealed with, and the new one in POSTHASTE_MASTER_KEY`,
    ]);
  }
  const report = resealFile({ folder, sealer: () => createSealer(masterKey, { previous }), isDryRun });
  return { report, after: "POSTHASTE_MASTER_KEY is enough for a start: take POSTHASTE_MASTER_KEY_PREVIOUS away." };
}

function ofFile(folder: string, isDryRun: boolean): FolderReseal {
  const [path, nextPath, oldPath] = [MASTER_KEY_FILE, NEXT_KEY_FILE, PREVIOUS_KEY_FILE].map((name) =>
    dataFile(folder, name),
  ) as [string, string, string];
  const previous = readKeyFile(path);
  if (previous === null) throw new Error(`There is no ${MASTER_KEY_FILE} in ${folder}; set POSTHASTE_MASTER_KEY.`);
  const sealer = (): Sealer => {
    const fresh = systemEntropy.bytes(MASTER_KEY_BYTES);
    // Before anything is sealed with it: a run that dies leaves it for the next start and the next run.
    if (!isDryRun) keepPrivateFile(nextPath, String(process.pid), () => encodeBase64(fresh));
    return createSealer(readKeyFile(nextPath) ?? fresh, { previous });
  };
  const report = resealFile({ folder, sealer, isDryRun });
  if (!isDryRun) {
    rmSync(oldPath, { force: true });
    linkSync(path, oldPath);
    syncFolder(folder);
    renameSync(nextPath, path);
    syncFolder(folder);
  }
  const after = `${path} holds the new key. The one before lies in ${PREVIOUS_KEY_FILE}: move it to where your back-ups' keys are, and delete it when those from before today are gone.`;
  return { report, after };
}
