/** The data folder of the embedded set and what lies in it: who may read it, whether it can be written, and how much room there is. */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Config } from "@posthaste/shared/domain/config.ts";
import { DATABASE_FILE } from "@posthaste/shared/drivers/sqlite/database.ts";
import { diskBounds } from "@posthaste/shared/drivers/sqlite/disk-bounds.ts";
import { MASTER_KEY_FILE, readKeyFile } from "../master-key.ts";
import { OPERATOR_KEY_FILE } from "../operator-key.ts";
import type { Finding } from "./finding.ts";
import { fine, risky, wrong } from "./finding.ts";

const ABOUT = "POSTHASTE_DATA";
const GIB = 1024 ** 3;
/** Below it a day of little traffic may fill the disk. */
const FREE_MIN = GIB / 2;
const OTHERS = 0o077;

export function folderFindings(config: Config): readonly Finding[] {
  const folder = resolve(config.dataFolder);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) {
    const parent = existingAbove(folder);
    if (!mayWrite(parent))
      return [wrong(ABOUT, `${folder} is not there and cannot be made in ${parent}`, remedyOfOwner(parent))];
    return [fine(ABOUT, `${folder} is not there yet; the first start makes it`), roomFinding(parent, config)];
  }
  if (!found.isDirectory()) return [wrong(ABOUT, `${folder} is a file`, "Name a folder.")];
  const findings = [roomFinding(folder, config), ...keyFindings(folder, config)];
  if (!mayWrite(folder))
    findings.unshift(wrong(ABOUT, `${folder} cannot be written by this user`, remedyOfOwner(folder)));
  else if (isOpen(found.mode)) {
    findings.unshift(
      risky(
        ABOUT,
        `${folder} can be read by other users (mode ${modeText(found.mode)}), events and keys with it`,
        `Run chmod 700 ${folder}.`,
      ),
    );
  } else findings.unshift(fine(ABOUT, `${folder} is this user's alone`));
  return findings;
}

function keyFindings(folder: string, { masterKey }: Config): Finding[] {
  const findings: Finding[] = [];
  const path = join(folder, MASTER_KEY_FILE);
  const isThere = existsSync(path);
  if (masterKey === null && !isThere && existsSync(join(folder, DATABASE_FILE))) {
    const remedy =
      "Put the file back from where it is kept, or set POSTHASTE_MASTER_KEY as it was; a new key cannot open the secrets.";
    findings.push(
      wrong(path, "is missing beside a database, whose endpoint secrets cannot be read without it", remedy),
    );
  }
  if (isThere) findings.push(...masterKeyFindings(path));
  const operatorKey = join(folder, OPERATOR_KEY_FILE);
  if (existsSync(operatorKey) && isOpen(statSync(operatorKey).mode)) {
    findings.push(
      wrong(
        operatorKey,
        "holds the key for everything and can be read by other users",
        `Run chmod 600 ${operatorKey}.`,
      ),
    );
  }
  return findings;
}

function masterKeyFindings(path: string): Finding[] {
  const { mode } = statSync(path);
  if (isOpen(mode)) {
    return [
      wrong(
        path,
        `can be read by other users (mode ${modeText(mode)}), and opens every endpoint secret`,
        `Run chmod 600 ${path}.`,
      ),
    ];
  }
  try {
    readKeyFile(path);
    return [fine(path, "is this user's alone; keep a copy apart from the backups")];
  } catch (error) {
    return [
      wrong(
        path,
        error instanceof Error ? error.message.replace(/\..*$/s, "") : "cannot be read",
        "Put the right file back.",
      ),
    ];
  }
}

/** What the database may grow to, beside what it has. */
function roomFinding(folder: string, { claimBytesMax }: Config): Finding {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const { databaseBytesMax } = diskBounds(folder, claimBytesMax);
  const database = join(folder, DATABASE_FILE);
  const used = statSync(database, { throwIfNoEntry: false })?.size ?? 0;
  const needed = Math.max(0, databaseBytesMax - used);
  const text = `${gib(free)} GiB are free on its disk`;
  if (free < FREE_MIN)
    return wrong(ABOUT, `${text}: events are refused once it is full`, "Make room, or name a folder on a larger disk.");
  if (free >= needed) return fine(ABOUT, text);
  const remedy = "Give it a disk that holds that, or watch its free space; IDEMPOTENCY_GIB lowers a part of it.";
  return risky(ABOUT, `${text}, and the database may come to need ${gib(needed)} GiB more`, remedy);
}

function gib(bytes: number): string {
  return (bytes / GIB).toFixed(1);
}

function existingAbove(folder: string): string {
  const parent = dirname(folder);
  return parent === folder || existsSync(parent) ? parent : existingAbove(parent);
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isOpen(mode: number): boolean {
  return process.platform !== "win32" && (mode & OTHERS) !== 0;
}

function modeText(mode: number): string {
  return (mode & 0o777).toString(8);
}

function remedyOfOwner(folder: string): string {
  return `Give ${folder} to the user that runs Posthaste (chown), or name another folder in POSTHASTE_DATA.`;
}
