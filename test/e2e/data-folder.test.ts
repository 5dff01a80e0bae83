/** A data folder that cannot be used ends the program with one line that says why and what to do. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openFolder, spawnPosthaste, startServe } from "./posthaste-child.ts";

const ENTRY = fileURLToPath(new URL("../../cli/main/posthaste.ts", import.meta.url));
const NOBODY = 65_534;

async function complaintAbout(folder: string): Promise<string> {
  await using child = spawnPosthaste(["serve"], { PORT: "0", POSTHASTE_DATA: folder });
  const { code } = await child.exited;
  assert.notEqual(code, 0);
  return onlyLine(child.printed.stderr);
}

/** As a user to whom modes of files mean something. */
async function complaintToNobody(folder: string): Promise<string> {
  const { PATH = "" } = process.env;
  const isRoot = process.getuid?.() === 0;
  const child = spawn(process.execPath, [ENTRY, "serve"], {
    cwd: tmpdir(),
    env: { PATH, PORT: "0", POSTHASTE_DATA: folder },
    stdio: ["ignore", "ignore", "pipe"],
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  let printed = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await once(child, "close");
  assert.equal(child.exitCode, 1, printed);
  return onlyLine(printed);
}

function onlyLine(printed: string): string {
  assert.match(printed, /^posthaste: [^\n]+\n$/);
  return printed;
}

/** Folders of a test that other users may look into. */
function openPublicFolder() {
  const path = mkdtempSync(join(tmpdir(), "posthaste-public-"));
  chmodSync(path, 0o755);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

async function fill(folder: string): Promise<string> {
  await using serving = await startServe(folder);
  serving.kill("SIGTERM");
  await serving.exited;
  return join(folder, "posthaste.db");
}

test("a folder that this user may not write", async () => {
  using folder = openPublicFolder();
  chmodSync(folder.path, 0o555);
  assert.match(await complaintToNobody(folder.path), /may not write there .*chown.*POSTHASTE_DATA/);
});

test("a folder that this user may not make", async () => {
  using folder = openPublicFolder();
  chmodSync(folder.path, 0o555);
  assert.match(await complaintToNobody(join(folder.path, "a/b")), /a\/b cannot be used: this user may not write there/);
});

test("a database that this user may only read", async () => {
  using folder = openPublicFolder();
  const database = await fill(folder.path);
  chmodSync(database, 0o444);
  if (process.getuid?.() === 0)
    for (const name of ["", "master.key"]) chownSync(join(folder.path, name), NOBODY, NOBODY);
  assert.match(await complaintToNobody(folder.path), /may not write there .*posthaste\.db.*chown/);
});

test("a path that leads through a file", async () => {
  using folder = openFolder();
  writeFileSync(join(folder.path, "file"), "");
  assert.match(await complaintAbout(join(folder.path, "file/data")), /a file and no folder .*Move the file away/);
});

test("a folder in the place of the database", async () => {
  using folder = openFolder();
  await fill(folder.path);
  rmSync(join(folder.path, "posthaste.db"));
  mkdirSync(join(folder.path, "posthaste.db"));
  assert.match(await complaintAbout(folder.path), /database cannot be opened .*read and write/);
});

for (const [what, damage] of [
  ["whose pages are overwritten", (path: string) => writeFileSync(path, overwritten(readFileSync(path)))],
  ["that was cut off", (path: string) => truncateSync(path, 3 * 4096)],
] as const) {
  test(`a database ${what}`, async () => {
    using folder = openFolder();
    damage(await fill(folder.path));
    assert.match(await complaintAbout(folder.path), /database is damaged .*backup.*\.recover/);
  });
}

function overwritten(content: Buffer): Buffer {
  return content.fill(0xa5, 4096);
}

for (const wal of ["without its WAL", "beside a WAL"]) {
  test(`an empty database ${wal} is not taken for a new one, and nothing of it is touched`, async () => {
    using folder = openFolder();
    const path = await fill(folder.path);
    truncateSync(path, 0);
    if (wal === "beside a WAL") writeFileSync(`${path}-wal`, "what was acknowledged");
    const before = readdirSync(folder.path).toSorted();
    assert.match(
      await complaintAbout(folder.path),
      /posthaste\.db is empty.* Put a backup in an empty folder .*delete/,
    );
    assert.deepEqual(readdirSync(folder.path).toSorted(), before);
    if (wal === "beside a WAL") assert.equal(readFileSync(`${path}-wal`, "utf8"), "what was acknowledged");
  });
}

test("a WAL without its database is not dropped for a new one", async () => {
  using folder = openFolder();
  const path = await fill(folder.path);
  rmSync(path);
  writeFileSync(`${path}-wal`, "what was acknowledged");
  assert.match(await complaintAbout(folder.path), /posthaste\.db is missing .*Put the posthaste\.db of that time back/);
  assert.deepEqual(readdirSync(folder.path).toSorted(), ["master.key", "posthaste.db-wal"]);
});

test("a database cut off within its first page", async () => {
  using folder = openFolder();
  truncateSync(await fill(folder.path), 100);
  assert.match(await complaintAbout(folder.path), /database is damaged .*backup/);
});

for (const [what, change, complaint] of [
  ["that another program made", "PRAGMA application_id = 1", /another program\. Move it away/],
  ["of a newer version", "PRAGMA user_version = 9999", /newer Posthaste .*Start that version/],
  ["without one of its tables", "DROP TABLE lane_items", /are not those of its version.*lane_items.*backup/],
  ["with another column", "ALTER TABLE events RENAME COLUMN body TO old", /are not those of its version.*backup/],
  ["that claims an older version", "PRAGMA user_version = 3", /are not those of its version.*backup/],
  ["that claims a version below none", "PRAGMA user_version = -5", /are not those of its version.*backup/],
] as const) {
  test(`a database ${what}`, async () => {
    using folder = openFolder();
    const database = new DatabaseSync(await fill(folder.path));
    database.exec(change);
    database.close();
    assert.match(await complaintAbout(folder.path), complaint);
  });
}

test("a folder in the place of a key file", async () => {
  using folder = openFolder();
  await fill(folder.path);
  const path = join(folder.path, "master.key");
  rmSync(path);
  mkdirSync(path);
  assert.match(await complaintAbout(folder.path), /master\.key is a folder\. Put the file that was there back/);
});

test("a pipe in the place of a key file is not waited for", async () => {
  using folder = openFolder();
  execFileSync("mkfifo", [join(folder.path, "master.key")]);
  assert.match(await complaintAbout(folder.path), /master\.key is no regular file\. Put the file/);
});

test("a link to nothing in the place of the folder or of a key file", async () => {
  using folder = openFolder();
  symlinkSync(join(folder.path, "gone"), join(folder.path, "link"));
  assert.match(await complaintAbout(join(folder.path, "link")), /link to something that is not there\. Put that back/);
  symlinkSync(join(folder.path, "gone"), join(folder.path, "master.key"));
  assert.match(await complaintAbout(folder.path), /master\.key is a link to something that is not there/);
});

test("a folder in the place of the backup's socket stops no start", async () => {
  using folder = openFolder();
  mkdirSync(join(folder.path, "backup.sock/x"), { recursive: true });
  await using serving = await startServe(folder.path);
  await serving.match(/"event":"backup\.unavailable"/);
});

test("a start that is stopped as soon as the backup's socket is there leaves none, and a stale one hinders no start", async () => {
  using folder = openFolder();
  const socket = join(folder.path, "backup.sock");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await using child = spawnPosthaste(["serve"], { PORT: "0", POSTHASTE_DATA: folder.path });
    while (!existsSync(socket)) await new Promise((resolve) => void setImmediate(resolve));
    child.kill(signal);
    assert.equal((await child.exited).code, 0);
    assert.equal(existsSync(socket), false);
  }
  const killed = await startServe(folder.path);
  killed.kill("SIGKILL");
  await killed.exited;
  assert.equal(existsSync(socket), true);
  await using serving = await startServe(folder.path);
  assert.doesNotMatch(serving.printed.stdout, /backup\.unavailable/);
});

test("a file that is no database at all", async () => {
  using folder = openFolder();
  writeFileSync(await fill(folder.path), "not a database, and long enough to be read as one ".repeat(100));
  assert.match(await complaintAbout(folder.path), /not a Posthaste database .*backup/);
});

for (const path of ["~/posthaste", "~", "$HOME/posthaste", "${HOME}/posthaste"]) {
  test(`the path ${path}, which only a shell would replace, is refused and nothing is made`, async () => {
    assert.match(await complaintAbout(path), /^posthaste: POSTHASTE_DATA must be .*only a shell replaces/);
  });
}

for (const path of ['"/tmp/x"', "'/tmp/x'", " /tmp/x", "/tmp/x "]) {
  test(`the path ${JSON.stringify(path)} is refused for what is around it`, async () => {
    assert.match(await complaintAbout(path), /^posthaste: POSTHASTE_DATA must be a path without/);
  });
}
