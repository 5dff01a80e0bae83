/**
 * Why a data folder or its database cannot be used, and what mends it: two sentences for whoever started the program. The
 * code is that of the system (`EACCES`), SQLite's primary result code (sqlite.org/rescode.html), or a word of ours.
 */

/** What is wrong, and the remedy; both speak of `the data folder`, whose name the caller puts in front. */
interface Fault {
  readonly what: string;
  readonly remedy: string;
}

const ANOTHER = "or name another data folder in POSTHASTE_DATA.";

const forbidden: Fault = {
  what: "this user may not write there",
  remedy: `Give the folder and what is in it to this user (chown), ${ANOTHER}`,
};
const readOnly: Fault = {
  what: "it is read-only",
  remedy: `Mount it writable and give it to this user (chown), ${ANOTHER}`,
};
const full: Fault = {
  what: "its disk is full",
  remedy: "Make room on that disk and start again; what was accepted is still there.",
};
const damaged: Fault = {
  what: "its database is damaged",
  remedy:
    "Put a backup in its place, or work on a copy with `sqlite3 posthaste.db .recover` (docs/operations.md, Back-up and restore).",
};
const foreign: Fault = {
  what: "its posthaste.db is not a Posthaste database",
  remedy: `Move that file away, put a backup in its place if it was one, ${ANOTHER}`,
};
const noFolder: Fault = {
  what: "a part of that path is a file and no folder",
  remedy: "Move the file away, or name another data folder in POSTHASTE_DATA.",
};
const empty: Fault = {
  what: "its posthaste.db is empty, as a full disk or a copy that was cut off leaves a database",
  remedy:
    "Put a backup in an empty folder (docs/operations.md, Back-up and restore); if nothing is lost with it, delete posthaste.db and posthaste.db-wal.",
};
const altered: Fault = {
  what: "the tables of its posthaste.db are not those of its version, as after a change by other means",
  remedy: `Put a backup in an empty folder (docs/operations.md, Back-up and restore), ${ANOTHER}`,
};
const walAlone: Fault = {
  what: "its posthaste.db is missing although its posthaste.db-wal is there",
  remedy:
    "Put the posthaste.db of that time back beside it, or a backup in an empty folder (docs/operations.md, Back-up and restore); if nothing is lost with it, delete posthaste.db-wal.",
};
const failing: Fault = {
  what: "its disk fails to read or write",
  remedy: `Look at the system's log for that disk, ${ANOTHER}`,
};
const descriptors: Fault = {
  what: "this process may open no more files",
  remedy: "Raise its limit (ulimit -n, LimitNOFILE) and start again.",
};
const tooLarge: Fault = {
  what: "this process may not write files so large",
  remedy: "Raise its limit (ulimit -f, LimitFSIZE) and start again.",
};
const unreachable: Fault = {
  what: "its database cannot be opened",
  remedy: `See that posthaste.db is a file that this user may read and write, ${ANOTHER}`,
};
const badPath: Fault = { what: "that path cannot be used", remedy: "Name another data folder in POSTHASTE_DATA." };

const faults: ReadonlyMap<string | number, Fault> = new Map<string | number, Fault>([
  ["EACCES", forbidden],
  ["EPERM", forbidden],
  ["EROFS", readOnly],
  ["ENOSPC", full],
  ["EDQUOT", full],
  ["ENOTDIR", noFolder],
  ["EEXIST", noFolder],
  ["EISDIR", unreachable],
  ["EFBIG", tooLarge],
  ["EIO", failing],
  ["EMFILE", descriptors],
  ["ENFILE", descriptors],
  ["ENOENT", badPath],
  ["ENAMETOOLONG", badPath],
  ["ELOOP", badPath],
  ["empty", empty],
  ["altered", altered],
  ["wal-alone", walAlone],
  [3, forbidden],
  [8, readOnly],
  [10, failing],
  [11, damaged],
  [13, full],
  [14, unreachable],
  [26, foreign],
]);

/** What is wrong, without the folder's name or the system's words: for callers. Null for a code that says nothing of the folder. */
export function folderFaultInShort(code: string | number | null): string | null {
  return code === null ? null : (faults.get(code)?.what ?? null);
}

/** Null for a code that says nothing of the folder. `detail` is the system's own text, for who must look further. */
export function folderFault(folder: string, code: string | number | null, detail: string): string | null {
  const fault = code === null ? undefined : faults.get(code);
  if (fault === undefined) return null;
  return `The data folder ${folder} cannot be used: ${fault.what} (${detail}). ${fault.remedy}`;
}
