/** What the system or SQLite says of a data folder becomes what the reader can do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { folderFault } from "@posthaste/shared/domain/folder-fault.ts";

for (const [code, what, remedy] of [
  ["EACCES", "may not write", "chown"],
  ["EPERM", "may not write", "chown"],
  ["EROFS", "read-only", "Mount it writable"],
  ["ENOSPC", "disk is full", "Make room"],
  ["EDQUOT", "disk is full", "Make room"],
  ["ENOTDIR", "a file and no folder", "POSTHASTE_DATA"],
  ["EEXIST", "a file and no folder", "POSTHASTE_DATA"],
  ["EIO", "disk fails", "system's log"],
  ["EMFILE", "no more files", "ulimit -n"],
  ["EFBIG", "may not write files so large", "ulimit -f"],
  ["ENAMETOOLONG", "cannot be used", "POSTHASTE_DATA"],
  [8, "read-only", "Mount it writable"],
  [10, "disk fails", "system's log"],
  [11, "damaged", "backup"],
  [13, "disk is full", "Make room"],
  [14, "cannot be opened", "read and write"],
  [26, "not a Posthaste database", "backup"],
] as const) {
  test(`code ${code} is said in words, with the folder, the detail and the remedy`, () => {
    const sentence = folderFault("/var/lib/posthaste", code, "the detail") ?? "";
    assert.ok(sentence.startsWith("The data folder /var/lib/posthaste cannot be used: "), sentence);
    for (const part of [what, "(the detail)", remedy]) assert.ok(sentence.includes(part), sentence);
    assert.ok(!sentence.includes("\n"));
  });
}

test("a code that says nothing of a folder is left to the caller", () => {
  assert.equal(folderFault("/x", "ECONNREFUSED", "no"), null);
  assert.equal(folderFault("/x", 1, "no such table"), null);
  assert.equal(folderFault("/x", null, "no"), null);
});
