/**
 * `posthaste backup FILE`: a copy of the database, from the running process or from the folder of a stopped one. It appears
 * under its name only when it is whole, looked through and on the disk.
 */
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Config } from "@posthaste/shared/domain/config.ts";
import { DATABASE_FILE } from "@posthaste/shared/drivers/sqlite/database.ts";
import { checkCopy, copyStopped, isFull, putSegmentsOver } from "@posthaste/shared/drivers/sqlite/database-copy.ts";
import { untilSignal } from "@posthaste/shared/runtime/entry.ts";
import type { CopyConnection } from "./backup-client.ts";
import { connectForCopy } from "./backup-client.ts";
import { whenWeExit } from "./exit-with-us.ts";
import { MASTER_KEY_FILE } from "./master-key.ts";
import { openDraft, placeDraft, requirePlace } from "./new-file.ts";

export interface BackupWish {
  /** Where the copy is to be. */
  readonly file: string;
  /** A file that is there may be replaced. */
  readonly isForced: boolean;
}

/** Throws a plain Error that says what to mend. */
export async function runBackup(config: Pick<Config, "dataFolder" | "masterKey">, wish: BackupWish): Promise<void> {
  void untilSignal().then(() => process.exit(1));
  const folder = resolve(config.dataFolder);
  const place = requirePlace({ ...wish, folder });
  if (!existsSync(join(folder, DATABASE_FILE))) {
    throw new Error(`There is no ${DATABASE_FILE} in ${folder}. Name the data folder in POSTHASTE_DATA.`);
  }
  using draft = openDraft(place);
  const forget = whenWeExit(() => draft[Symbol.dispose]());
  using running = await connectForCopy(folder);
  await makeCopy(running, folder, draft.path).catch((error: unknown) => {
    if (!isFull(error)) throw error;
    throw new Error(`There is no room for the copy in ${dirname(place)}. Make some, or name a file on another disk.`);
  });
  const bytes = placeDraft(draft, place, wish.isForced);
  forget();
  process.stdout.write(summary({ place, bytes, isRunning: running !== null, folder, masterKey: config.masterKey }));
}

async function makeCopy(running: CopyConnection | null, folder: string, draft: string): Promise<void> {
  if (running === null) copyStopped(folder, draft);
  else {
    await copyFile(running.database, draft);
    putSegmentsOver(draft, await running.segments());
  }
  checkCopy(draft);
}

function summary(facts: {
  readonly place: string;
  readonly bytes: number;
  readonly isRunning: boolean;
  readonly folder: string;
  readonly masterKey: Uint8Array | null;
}): string {
  const { place, bytes, isRunning, folder, masterKey } = facts;
  const from = isRunning ? "while the process runs" : "from the folder of a stopped process";
  const keyFile = join(folder, MASTER_KEY_FILE);
  const key = masterKey === null && existsSync(keyFile) ? keyFile : "POSTHASTE_MASTER_KEY";
  return `${place}: the database, ${(bytes / 1024 ** 2).toFixed(1)} MiB, copied ${from} and found sound.
Not in it is the master key, without which the endpoint secrets cannot be read: keep ${key} too, in another place.
To restore, see docs/operations.md, Back-up and restore.
`;
}
