/** A copy that is read while the writer goes on becomes the database of one moment; nothing is asked of the writer but its turn. */
import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createCopyHolds } from "@posthaste/shared/drivers/sqlite/copy-hold.ts";
import { createDatabase, openDatabaseFile } from "@posthaste/shared/drivers/sqlite/database.ts";
import { checkCopy, copyStopped, putSegmentsOver } from "@posthaste/shared/drivers/sqlite/database-copy.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { MASTER_KEY, createTemporaryFolder } from "../../contract/embedded-harness.ts";
import { idsOf, withCode } from "../../contract/harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";

const BODY_BYTES = 200_000;
/** Together more than one WAL of 4 MiB. */
const MANY = 120;

function openFolder(folder: string) {
  return openEmbedded({
    clock: createManualClock(START_MS),
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(MASTER_KEY),
    database: { folder },
  });
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `evt_${prefix}${index}`);
}

async function append(drivers: ReturnType<typeof openFolder>, ids: readonly string[]): Promise<void> {
  for (const id of ids) await drivers.lanes.append([sampleEnvelope(id, { body: new Uint8Array(BODY_BYTES).fill(7) })]);
}

/** Each taken and acknowledged, so that rows and pages are freed and used again. */
async function takeAll(drivers: ReturnType<typeof openFolder>): Promise<string[]> {
  const items = await drivers.lanes.take("medium", 100_000, new AbortController().signal);
  return [...idsOf(items)];
}

/** The file in two reads; the descriptor stays open as long as the database, whose lock its closing would drop. */
function readerOf(folder: string) {
  const file = openSync(join(folder, "posthaste.db"), "r");
  return {
    read(from: number, to: number): Buffer {
      const bytes = Buffer.alloc(to - from);
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
    },
    close: () => closeSync(file),
  };
}

test("a file read half before and half after the changes of two full WALs is the database as it was at finish", async () => {
  using folder = createTemporaryFolder();
  const data = join(folder.path, "data");
  const copied = join(folder.path, "copied");
  mkdirSync(copied);
  const copy = join(copied, "posthaste.db");
  const drivers = openFolder(data);
  const reader = readerOf(data);
  await append(drivers, names("before", MANY));
  using hold = drivers.beginCopy();
  const half = statSync(join(data, "posthaste.db")).size / 2;
  const first = reader.read(0, half);
  await append(drivers, names("during", 2 * MANY));
  writeFileSync(copy, Buffer.concat([first, reader.read(half, 2 * half)]));
  const segments = hold.finish();
  assert.ok(segments.length >= 3, `${segments.length} segments`);
  await append(drivers, names("after", 1));
  putSegmentsOver(copy, segments);
  checkCopy(copy);
  assert.deepEqual(readdirSync(copied), ["posthaste.db"]);
  hold[Symbol.dispose]();
  await drivers[Symbol.asyncDispose]();
  reader.close();
  await using restored = openFolder(copied);
  assert.deepEqual(await takeAll(restored), [...names("before", MANY), ...names("during", 2 * MANY)]);
});

test("rows that change, go and come while the file is read in pieces are those of finish, and its index finds them", () => {
  using folder = createTemporaryFolder();
  const handle = openDatabaseFile(folder.path);
  const reader = readerOf(folder.path);
  const database = createDatabase(handle);
  const holds = createCopyHolds({ database, folder: folder.path });
  database.exec("CREATE TABLE churn (id INTEGER PRIMARY KEY, name INTEGER NOT NULL, content BLOB NOT NULL)");
  database.exec("CREATE INDEX churn_by_name ON churn (name)");
  const insert = database.prepare("INSERT INTO churn (name, content) VALUES (abs(random()) % 1000, randomblob(3000))");
  const write = (change: () => void): void => {
    database.exec("BEGIN IMMEDIATE");
    change();
    database.exec("COMMIT");
    holds.afterCommit();
  };
  const fill = (): void => {
    for (let count = 0; count < 2000; count++) insert.run();
  };
  write(fill);
  const hold = holds.begin();
  const pieces: Buffer[] = [];
  const size = statSync(join(folder.path, "posthaste.db")).size;
  for (let piece = 0; piece < 4; piece++) {
    pieces.push(reader.read((piece * size) / 4, ((piece + 1) * size) / 4));
    write(() => {
      fill();
      database.prepare("UPDATE churn SET name = id, content = randomblob(2000) WHERE id % 5 = ?").run(piece);
      database.prepare("DELETE FROM churn WHERE id % 7 = ?").run(piece);
    });
  }
  const copy = join(folder.path, "copy.db");
  writeFileSync(copy, Buffer.concat(pieces));
  assert.throws(() => checkCopy(copy), /not sound/, "what was read is of many moments");
  writeFileSync(copy, Buffer.concat(pieces));
  const sums = "SELECT count(*) AS n, sum(id) AS ids, sum(name) AS names, sum(length(content)) AS bytes FROM churn";
  const atFinish = { ...database.prepare(sums).get() };
  putSegmentsOver(copy, hold.finish());
  write(fill);
  checkCopy(copy);
  using copied = new DatabaseSync(copy);
  assert.deepEqual({ ...copied.prepare(sums).get() }, atFinish);
  hold[Symbol.dispose]();
  handle.close();
  reader.close();
});

test("a hold that is left ends: the WAL is moved again, its folder is gone, and another copy may begin", async () => {
  using folder = createTemporaryFolder();
  const drivers = openFolder(folder.path);
  const hold = drivers.beginCopy();
  assert.throws(() => drivers.beginCopy(), withCode("conflict"));
  await append(drivers, names("a", MANY));
  hold[Symbol.dispose]();
  assert.ok(!existsSync(join(folder.path, "backup-segments")));
  await append(drivers, names("b", 3 * MANY));
  // Twice what is moved at a time, and far less than was written.
  assert.ok(statSync(join(folder.path, "posthaste.db-wal")).size < 34 * 1024 ** 2);
  drivers.beginCopy()[Symbol.dispose]();
  await drivers[Symbol.asyncDispose]();
});

test("past its bytes the copy fails and says why; the writes go on", () => {
  using folder = createTemporaryFolder();
  using handle = openDatabaseFile(folder.path);
  const database = createDatabase(handle);
  const holds = createCopyHolds({ database, folder: folder.path, segmentsBytesMax: 1024 ** 3 / 64 });
  using hold = holds.begin();
  const write = (): void => {
    database.prepare("INSERT INTO health_probes VALUES (NULL, randomblob(1000000))").run();
    holds.afterCommit();
  };
  for (let count = 0; count < 50; count++) write();
  assert.throws(() => hold.finish(), withCode("overloaded"));
  assert.equal(database.prepare<{ n: number }>("SELECT count(*) AS n FROM health_probes").get()?.n, 50);
});

test("what a killed process left of a copy is cleared at the next start", async () => {
  using folder = createTemporaryFolder();
  mkdirSync(join(folder.path, "backup-segments"));
  writeFileSync(join(folder.path, "backup-segments/0"), "x");
  await using drivers = openFolder(folder.path);
  assert.equal(await drivers.health(), null);
  assert.ok(!existsSync(join(folder.path, "backup-segments")));
});

test("the folder of a stopped process is copied with what lies in its WAL, and stays as it is", async () => {
  using folder = createTemporaryFolder();
  const data = join(folder.path, "data");
  const drivers = openFolder(data);
  await append(drivers, names("a", 3));
  // As a kill leaves it: the WAL is not moved.
  const crashed = join(folder.path, "crashed");
  mkdirSync(crashed);
  for (const name of ["posthaste.db", "posthaste.db-wal"])
    writeFileSync(join(crashed, name), readFileSync(join(data, name)));
  await drivers[Symbol.asyncDispose]();
  const copy = join(folder.path, "copy.db");
  copyStopped(crashed, copy);
  checkCopy(copy);
  using database = new DatabaseSync(copy);
  assert.equal(database.prepare("SELECT count(*) AS n FROM events").get()?.["n"], 3);
});

test("a database that is open elsewhere is not copied from its folder", async () => {
  using folder = createTemporaryFolder();
  await using drivers = openFolder(folder.path);
  assert.equal(await drivers.health(), null);
  assert.throws(() => copyStopped(folder.path, join(folder.path, "copy.db")), /offers no copy of it .*Stop it first/);
  assert.ok(!existsSync(join(folder.path, "copy.db")));
});
