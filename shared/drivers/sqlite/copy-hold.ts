/**
 * Lets another process copy the file of a running database while the writer goes on. From `begin` to its end nothing is
 * moved from the WAL into the file unseen: each full WAL is kept as a segment first. A copy of the file that was read
 * meanwhile, in any order, becomes the database as it was at `finish` when the segments are put over it in their order,
 * since every page that changed under the reader is in one of them.
 *
 * The copying is another process's, as it must be: who closes a second descriptor of the file drops our own lock (fcntl(2)).
 */
import { copyFileSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

import { PosthasteError } from "../../domain/errors.ts";
import type { Database } from "./database.ts";
import { DATABASE_FILE, WAL_PAGES } from "./database.ts";

/** A WAL of this size becomes a segment: what a commit would have moved into the file by itself without a hold. */
const SEGMENT_BYTES = WAL_PAGES * 4096;
/** What segments may take of the data folder's disk. Past it the copy fails, and not the writes. */
export const SEGMENTS_BYTES_MAX = 4 * 1024 ** 3;
const SEGMENTS_FOLDER = "backup-segments";

export interface CopyHold extends Disposable {
  /** Call it when the copy is read: the segments to put over it, in order. They are there until the hold is disposed. */
  finish(): readonly string[];
}

export interface CopyHolds {
  /** Throws `conflict` while there is one, and what the disk says. */
  begin(): CopyHold;
  /** Call it after each commit, outside of any transaction. */
  afterCommit(): void;
}

/** What a process that was killed in the middle left in the folder goes. */
export function createCopyHolds(options: {
  readonly database: Database;
  readonly folder: string;
  readonly segmentsBytesMax?: number;
}): CopyHolds {
  const { database, folder, segmentsBytesMax = SEGMENTS_BYTES_MAX } = options;
  const segmentsFolder = join(folder, SEGMENTS_FOLDER);
  const walPath = join(folder, `${DATABASE_FILE}-wal`);
  let current: Segments | null = null;
  rmSync(segmentsFolder, { recursive: true, force: true });

  function keepSegment(segments: Segments): void {
    const path = join(segmentsFolder, String(segments.paths.length));
    copyFileSync(walPath, path);
    segments.paths.push(path);
    segments.bytes += statSync(path).size;
  }

  function moveAll(): void {
    const moved = database.prepare<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)").get();
    if (moved?.busy !== 0) throw new PosthasteError("store-unavailable", "The WAL could not be moved into the file.");
  }

  /** From here on the WAL is moved by SQLite itself again. */
  function release(segments: Segments): void {
    segments.isHolding = false;
    database.prepare(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}`).get();
  }

  function hold(): void {
    mkdirSync(segmentsFolder, { mode: 0o700 });
    database.prepare("PRAGMA wal_autocheckpoint = 0").get();
    moveAll();
  }

  function end(segments: Segments): void {
    if (current !== segments) return;
    current = null;
    if (segments.isHolding) release(segments);
    rmSync(segmentsFolder, { recursive: true, force: true });
  }

  return {
    begin() {
      if (current !== null) throw new PosthasteError("conflict", "Another backup is under way. Wait for its end.");
      const segments: Segments = { paths: [], bytes: 0, isHolding: true, failure: null };
      current = segments;
      try {
        hold();
      } catch (error) {
        end(segments);
        throw error;
      }
      return {
        finish() {
          if (segments.failure !== null) throw segments.failure;
          keepSegment(segments);
          release(segments);
          return segments.paths;
        },
        [Symbol.dispose]: () => end(segments),
      };
    },
    afterCommit() {
      const segments = current;
      if (segments?.isHolding !== true || statSync(walPath).size < SEGMENT_BYTES) return;
      try {
        if (segments.bytes >= segmentsBytesMax) throw tooMuch(segmentsBytesMax);
        keepSegment(segments);
        moveAll();
      } catch (error) {
        segments.failure = error;
        end(segments);
      }
    },
  };
}

interface Segments {
  readonly paths: string[];
  bytes: number;
  isHolding: boolean;
  /** Why the copy cannot be completed any more. */
  failure: unknown;
}

function tooMuch(bytesMax: number): PosthasteError {
  const written = `More than ${bytesMax / 1024 ** 3} GiB were written while the file was copied.`;
  return new PosthasteError("overloaded", `${written} Copy to a faster disk, or when less is written.`);
}
