/**
 * Small secrets in the data folder, for the owner's eyes only (0600 in 0700). A file appears whole or not at all: it is
 * written beside its place, synced, then linked, so a crash at any line leaves no half a key, and of two processes that
 * start at once one wins and the other reads what it wrote.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** Makes the folder, 0700 when it is new; one that exists keeps its mode. Throws a sentence when it cannot. */
export function makePrivateFolder(folder: string): void {
  try {
    const created = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (created !== undefined) chmodSync(folder, 0o700);
  } catch (cause) {
    throw new Error(`The data folder ${folder} cannot be made (${messageOf(cause)}). Name another in POSTHASTE_DATA.`, {
      cause,
    });
  }
}

/** The file's text; writes `make()` first when there is none yet. `suffix` must differ between processes. */
export function keepPrivateFile(path: string, suffix: string, make: () => string): string {
  const kept = readPrivateFile(path);
  if (kept !== null) return kept;
  const draft = `${path}.${suffix}`;
  writeSynced(draft, `${make()}\n`);
  try {
    linkSync(draft, path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(dirname(path));
  const written = readPrivateFile(path);
  if (written === null) throw new Error(`${path} vanished while it was made.`);
  return written;
}

export function dataFile(folder: string, name: string): string {
  return join(folder, name);
}

/** The text without white space around it; null when there is no such file. */
function readPrivateFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw new Error(`${path} cannot be read (${messageOf(error)}).`, { cause: error });
  }
}

function writeSynced(path: string, text: string): void {
  rmSync(path, { force: true });
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Windows knows no sync of a folder. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
