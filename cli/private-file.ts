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
  lstatSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { folderFault } from "@posthaste/shared/domain/folder-fault.ts";

/** Makes the folder, 0700 when it is new; one that exists keeps its mode. Throws what the reader can mend. */
export function makePrivateFolder(folder: string): void {
  explaining(folder, () => {
    if (leadsNowhere(folder)) throw nowhere(folder);
    const created = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (created !== undefined) chmodSync(folder, 0o700);
  });
}

/** The file's text; writes `make()` first when there is none yet. `suffix` must differ between processes. */
export function keepPrivateFile(path: string, suffix: string, make: () => string): string {
  return explaining(dirname(path), () => {
    const kept = readPrivateFile(path);
    if (kept !== null) return kept;
    const draft = `${path}.${suffix}`;
    try {
      writeSynced(draft, `${make()}\n`);
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
  });
}

export function dataFile(folder: string, name: string): string {
  return join(folder, name);
}

/** The text without white space around it; null when there is no such file. */
export function readPrivateFile(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    if (leadsNowhere(path)) throw nowhere(path);
    return null;
  }
  if (found.isDirectory()) throw new Error(`${path} is a folder. Put the file that was there back in its place.`);
  // To open a pipe is to wait for whoever writes to it, deaf to signals.
  if (!found.isFile()) throw new Error(`${path} is no regular file. Put the file that was there back in its place.`);
  return readFileSync(path, "utf8").trim();
}

/** A symbolic link whose target is missing. */
function leadsNowhere(path: string): boolean {
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink && statSync(path, { throwIfNoEntry: false }) === undefined;
}

function nowhere(path: string): Error {
  return new Error(`${path} is a link to something that is not there. Put that back, or remove the link.`);
}

function explaining<Result>(folder: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    const fault = folderFault(folder, codeOf(cause), cause instanceof Error ? cause.message : String(cause));
    throw fault === null ? cause : new Error(fault, { cause });
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
export function syncFolder(folder: string): void {
  if (process.platform !== "win32") syncFile(folder);
}

/** Of a file, or of a folder's entries. */
export function syncFile(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}
