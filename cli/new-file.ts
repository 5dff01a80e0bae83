/**
 * A file that appears under its name whole or not at all: made in a folder of its own beside its place (0700), synced, then
 * linked or renamed. 0600, since what it holds is for its owner.
 */
import { chmodSync, existsSync, linkSync, mkdtempSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { syncFile } from "./private-file.ts";

export interface Draft extends Disposable {
  /** Nothing is there yet. */
  readonly path: string;
}

/** The full path of the new file. Throws what the reader can mend. */
export function requirePlace(wish: {
  readonly file: string;
  readonly isForced: boolean;
  readonly folder: string;
}): string {
  const place = resolve(wish.file);
  if (/[/\\]$/.test(wish.file)) throw new Error(`${wish.file} names a folder. Name a file in it.`);
  const parent = dirname(place);
  if (!existsSync(parent)) throw new Error(`There is no folder ${parent}. Make it, or name another file.`);
  const inside = relative(realOf(wish.folder), realOf(parent));
  if (inside === "" || !/^\.\.(?:$|[/\\])/.test(inside)) {
    throw new Error(`${place} is inside the data folder. Name a file elsewhere, at best on another disk.`);
  }
  if (!existsSync(place)) return place;
  const found = statSync(place);
  if (found.isDirectory()) throw new Error(`${place} is a folder. Name a file in it.`);
  // A device or a pipe would be replaced as a file is, and /dev/null be one from then on.
  if (!found.isFile()) throw new Error(`${place} is no regular file. Name another file.`);
  if (!wish.isForced) throw new Error(exists(place));
  return place;
}

export function openDraft(place: string): Draft {
  const folder = explaining(place, () => mkdtempSync(join(dirname(place), `.${basename(place)}.`)));
  return {
    path: join(folder, basename(place)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Moves the draft to its place; returns its bytes. What is already there is replaced only when `isForced`. */
export function placeDraft(draft: Draft, place: string, isForced: boolean): number {
  return explaining(place, () => {
    chmodSync(draft.path, 0o600);
    syncFile(draft.path);
    const { size } = statSync(draft.path);
    if (isForced) renameSync(draft.path, place);
    else linkSync(draft.path, place);
    syncFile(dirname(place));
    return size;
  });
}

function explaining<Result>(place: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : null;
    const why = cause instanceof Error ? cause.message : String(cause);
    const sentence =
      code === "EEXIST"
        ? exists(place)
        : `${place} cannot be written (${why}). Name another file, or give its folder to this user (chown).`;
    throw new Error(sentence, { cause });
  }
}

function exists(place: string): string {
  return `${place} exists. Name another file, or add --force to replace it.`;
}

function realOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
