/** What the embedded set promises about its file: one process, nobody else's eyes, no half-written upgrade, no lie about a full disk. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { EmbeddedDrivers } from "@posthaste/shared/drivers/embedded.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { DATABASE_FILE, openDatabaseFile } from "@posthaste/shared/drivers/sqlite/database.ts";
import { migrate } from "@posthaste/shared/drivers/sqlite/migrations.ts";
import { SCHEMA_STEPS } from "@posthaste/shared/drivers/sqlite/schema.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import {
  MASTER_KEY,
  createTemporaryFolder,
  openFileHarness,
  openMemoryHarness,
} from "../../contract/embedded-harness.ts";
import { idsOf, takeSome, withCode } from "../../contract/harness.ts";
import {
  START_MS,
  TENANT,
  sampleEndpoint,
  sampleEnvelope,
  sampleEnvelopes,
  sampleRecord,
  sampleScheduled,
  sampleKey,
} from "../../support/samples.ts";

const CHILD = fileURLToPath(new URL("embedded-child.ts", import.meta.url));

function startChild(mode: "append" | "open", folder: string): ChildProcess {
  const flags = "Deno" in globalThis ? ["run", "-A"] : [];
  return spawn(process.execPath, [...flags, CHILD, mode, folder], { stdio: ["ignore", "pipe", "inherit"] });
}

async function outputOf(child: ChildProcess): Promise<string> {
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await once(child, "close");
  return output;
}

function openFolder(folder: string, masterKey = MASTER_KEY): EmbeddedDrivers {
  return openEmbedded({
    clock: createManualClock(START_MS),
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(masterKey),
    database: { folder },
  });
}

test("a second process on the data folder is refused with the folder's name and what to do", async () => {
  using folder = createTemporaryFolder();
  await using first = openFolder(folder.path);
  assert.equal(await first.health(), null);
  const output = await outputOf(startChild("open", folder.path));
  assert.match(output, /in use by another Posthaste process/);
  assert.ok(output.includes(folder.path));
  assert.match(output, /Stop that process/);
});

test("a second opener in the same process is refused, and the first goes on", async () => {
  using folder = createTemporaryFolder();
  await using first = openFolder(folder.path);
  assert.throws(() => openFolder(folder.path), withCode("store-unavailable"));
  await first.lanes.append([sampleEnvelope("evt_a")]);
  assert.match(await outputOf(startChild("open", folder.path)), /in use/);
});

test("once the first process has closed the folder the next one opens it", async () => {
  using folder = createTemporaryFolder();
  await openFolder(folder.path)[Symbol.asyncDispose]();
  assert.equal(await outputOf(startChild("open", folder.path)), "opened\n");
});

test("after SIGKILL the folder opens at once and every append that resolved is there, in order", async () => {
  using folder = createTemporaryFolder();
  const child = startChild("append", folder.path);
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (output.includes("evt_200\n")) child.kill("SIGKILL");
  });
  await once(child, "close");
  assert.equal(child.signalCode, "SIGKILL");
  const promised = output.split("\n").slice(0, -1);
  await using drivers = openFolder(folder.path);
  const items = await drivers.lanes.take("medium", 100_000, new AbortController().signal);
  assert.deepEqual(idsOf(items).slice(0, promised.length), promised);
  assert.ok(promised.length > 200 && items.length <= promised.length + 1);
});

test("the folder is the owner's alone, and so is every file in it", async () => {
  using folder = createTemporaryFolder();
  const path = join(folder.path, "deep", "data");
  await using drivers = openFolder(path);
  await drivers.lanes.append([sampleEnvelope("evt_a")]);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  const modes = readdirSync(path).map((file) => (statSync(join(path, file)).mode & 0o777).toString(8));
  assert.ok(modes.length >= 1);
  assert.deepEqual(new Set(modes), new Set(["600"]));
});

test("an endpoint's secret is nowhere in the bytes of the files", async () => {
  using folder = createTemporaryFolder();
  const secret = "whsec_C2FVsBQIhrscChlQIMV9zzQqIBkDcDEf";
  const drivers = openFolder(folder.path);
  await drivers.directory.create(
    sampleEndpoint("ep_a", {
      description: "a plain description",
      secrets: [{ secret, createdAtMs: 0, expiresAtMs: null }],
    }),
  );
  await drivers[Symbol.asyncDispose]();
  const bytes = readdirSync(folder.path).map((file) => readFileSync(join(folder.path, file)).toString("latin1"));
  assert.ok(bytes.some((text) => text.includes("a plain description")));
  assert.ok(!bytes.some((text) => text.includes(secret) || text.includes(secret.slice(6))));
});

test("another master key does not open the directory, and the failed start lets go of the folder", async () => {
  using folder = createTemporaryFolder();
  const drivers = openFolder(folder.path);
  await drivers.directory.create(sampleEndpoint("ep_a"));
  await drivers[Symbol.asyncDispose]();
  assert.throws(() => openFolder(folder.path, new Uint8Array(32).fill(8)), /do not open/);
  await using again = openFolder(folder.path);
  assert.ok(await again.directory.find(TENANT, "ep_a"));
});

test("a database of a newer version is refused and left as it is", () => {
  using folder = createTemporaryFolder();
  const first = openDatabaseFile(folder.path);
  const newer = SCHEMA_STEPS.length + 6;
  first.exec(`PRAGMA user_version = ${newer}`);
  first.close();
  const refusal = new RegExp(`newer Posthaste \\(schema ${newer}; this one knows up to ${SCHEMA_STEPS.length}\\)`);
  assert.throws(() => openDatabaseFile(folder.path), refusal);
  const raw = new DatabaseSync(join(folder.path, DATABASE_FILE));
  assert.equal(raw.prepare("PRAGMA user_version").get()?.["user_version"], newer);
  raw.close();
});

test("another program's database is refused", () => {
  using folder = createTemporaryFolder();
  const raw = new DatabaseSync(join(folder.path, DATABASE_FILE));
  raw.exec("CREATE TABLE songs (name TEXT)");
  raw.close();
  assert.throws(() => openDatabaseFile(folder.path), /is that of another program\. Move it away/);
});

test("a file that is no database is refused with its path", () => {
  using folder = createTemporaryFolder();
  writeFileSync(join(folder.path, DATABASE_FILE), "not a database at all, ".repeat(100));
  assert.throws(
    () => openDatabaseFile(folder.path),
    (error: unknown) => {
      return error instanceof Error && error.message.includes(folder.path) && /another data folder/.test(error.message);
    },
  );
});

test("migrate() runs the missing steps alone, each once", () => {
  const database = new DatabaseSync(":memory:");
  migrate(database, ["CREATE TABLE one (a)"]);
  migrate(database, ["CREATE TABLE one (a)", "CREATE TABLE two (a)", "INSERT INTO two VALUES (1)"]);
  migrate(database, ["CREATE TABLE one (a)", "CREATE TABLE two (a)", "INSERT INTO two VALUES (1)"]);
  assert.equal(database.prepare("SELECT count(*) AS count FROM two").get()?.["count"], 1);
  assert.equal(database.prepare("PRAGMA user_version").get()?.["user_version"], 3);
  database.close();
});

test("a step that fails leaves the last whole step", () => {
  const database = new DatabaseSync(":memory:");
  const broken = ["CREATE TABLE one (a)", "CREATE TABLE two (a); INSERT INTO nowhere VALUES (1)"];
  assert.throws(() => migrate(database, broken), /nowhere/);
  assert.equal(database.prepare("PRAGMA user_version").get()?.["user_version"], 1);
  const tables = database
    .prepare("SELECT name FROM sqlite_schema")
    .all()
    .map(({ name }) => name);
  assert.deepEqual(tables, ["one"]);
  database.close();
});

test("an API key of before there were failure modes reads as local", async () => {
  await using harness = await openFileHarness();
  const key = sampleKey("key_a");
  await harness.drivers.apiKeys.save(key);
  harness.raw.exec("UPDATE api_keys SET rate_failure_mode = NULL");
  await harness.reopen();
  assert.deepEqual(await harness.drivers.apiKeys.find(key.hash), key);
});

test("a full disk refuses appends with store-unavailable and keeps nothing of them", async () => {
  await using harness = await openFileHarness();
  const { raw, drivers } = harness;
  await drivers.lanes.append([sampleEnvelope("evt_a")]);
  limitPages(raw, 0);
  const big = sampleEnvelopes(4, { body: new Uint8Array(200_000) });
  await assert.rejects(drivers.lanes.append(big), (error: unknown) => {
    return (
      withCode("store-unavailable")(error) && error instanceof Error && "retriable" in error && error.retriable === true
    );
  });
  assert.equal((await drivers.lanes.depth("medium")).count, 1);
  assert.equal(await drivers.ledger.event(TENANT, "evt_0"), null);
});

test("what fits is still written on a full disk, so acknowledgements go on, and free space makes it whole again", async () => {
  await using harness = await openFileHarness();
  const { raw, drivers } = harness;
  await drivers.lanes.append([sampleEnvelope("evt_a")]);
  limitPages(raw, 0);
  const items = await takeSome(harness, "medium");
  const refused = drivers.lanes.append(sampleEnvelopes(4, { body: new Uint8Array(200_000) }));
  const results = await Promise.allSettled([refused, drivers.lanes.ack(items)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "fulfilled"],
  );
  limitPages(raw, 1_000_000);
  await drivers.lanes.append(sampleEnvelopes(4, { body: new Uint8Array(200_000) }));
  assert.equal(await drivers.health(), null);
  assert.equal((await drivers.lanes.depth("medium")).count, 4);
});

test("health() names the fault while the store cannot be written and is null once it can", async () => {
  await using harness = await openFileHarness();
  const { raw, drivers } = harness;
  limitPages(raw, 0);
  await assert.rejects(drivers.lanes.append(sampleEnvelopes(4, { body: new Uint8Array(200_000) })));
  assert.match((await drivers.health()) ?? "", /its disk is full/);
  limitPages(raw, 1_000_000);
  assert.equal(await drivers.health(), null);
});

test("writes after the database is gone reject with store-unavailable instead of resolving", async () => {
  const harness = await openFileHarness();
  harness.raw.close();
  await assert.rejects(harness.drivers.lanes.append([sampleEnvelope("evt_a")]), withCode("store-unavailable"));
  assert.match((await harness.drivers.health()) ?? "", /cannot be used/);
  await harness.reopen().catch(() => undefined);
});

test("dispose() writes what was recorded, and ends every timer", async () => {
  await using harness = await openMemoryHarness();
  const clock = createManualClock(START_MS);
  const database = new DatabaseSync(":memory:");
  const common = { clock, entropy: systemEntropy, hasher: systemHasher, sealer: createSealer(MASTER_KEY), database };
  const drivers = openEmbedded(common);
  const envelope = sampleEnvelope("evt_a");
  await drivers.lanes.append([envelope]);
  drivers.ledger.record([{ kind: "delivery", delivery: sampleRecord(envelope) }]);
  drivers.stats.add([{ kind: "accepted", tenant: TENANT, type: "order.paid", lane: "medium", atMs: START_MS }]);
  await drivers[Symbol.asyncDispose]();
  assert.equal(clock.timerCount(), 0);
  const again = openEmbedded(common);
  assert.equal((await again.ledger.deliveries({ tenant: TENANT, eventId: envelope.id }, 1, null)).rows.length, 1);
  assert.equal((await again.stats.tenant(TENANT)).totalEvents, 1);
  database.close();
  assert.equal(await harness.drivers.health(), null);
});

/** As a full disk: SQLite may have this many pages more than it uses now, at least what it has. */
function limitPages(raw: DatabaseSync, extra: number): void {
  const used = Number(raw.prepare("PRAGMA page_count").get()?.["page_count"]);
  raw.exec(`PRAGMA max_page_count = ${used + extra}`);
}

test("dead letters of an older version are weighed anew, with all that they take", () => {
  const raw = new DatabaseSync(":memory:");
  migrate(raw, SCHEMA_STEPS.slice(0, 2));
  const insert = raw.prepare(
    `INSERT INTO dead_letters VALUES (?, ?, ?, 'evt', 'ep', 0, 'dead', 'why', 1, 5, 'a', 'LOW', 5, NULL, NULL, 1, ?)`,
  );
  for (const [id, tenant] of [
    [1, "acme"],
    [2, "acme"],
    [3, "globex"],
  ] as const) {
    insert.run(id, `dlv_${id}`, tenant, new Uint8Array(100));
  }
  migrate(raw);
  const totals = raw.prepare("SELECT tenant, letters, bytes FROM dead_letter_totals ORDER BY tenant").all();
  const [all, acme, globex] = totals.map(({ letters, bytes }) => [Number(letters), Number(bytes)] as const);
  assert.deepEqual([all?.[0], acme?.[0], globex?.[0]], [3, 2, 1]);
  assert.ok((globex?.[1] ?? 0) > 300);
  assert.equal(all?.[1], (acme?.[1] ?? 0) + (globex?.[1] ?? 0));
  raw.exec("DELETE FROM dead_letters");
  assert.equal(raw.prepare("SELECT bytes FROM dead_letter_totals WHERE tenant = ''").get()?.["bytes"], 0);
  raw.close();
});

test("a file of a version before cancellations opens: what was fanned out shows as before, what waits can be cancelled", async () => {
  const raw = new DatabaseSync(":memory:");
  migrate(raw, SCHEMA_STEPS.slice(0, 6));
  const dueMs = START_MS + 1000;
  raw.exec(`
    INSERT INTO events VALUES (1, '${TENANT}', 'evt_a', 'a', 'LOW', ${START_MS}, NULL, NULL, 1, 1, ${dueMs * 2}, x'00'),
      (2, '${TENANT}', 'evt_b', 'a', 'LOW', ${START_MS}, ${dueMs}, NULL, 1, 1, ${dueMs * 2}, x'00');
    INSERT INTO fan_outs VALUES (1, ${START_MS}, '[]', 0, '["ep_a"]', 1);
    INSERT INTO retry_items VALUES (${dueMs}, 1, 'deliver-at', NULL, 0, 1, 0, NULL, NULL, 0, 100);
    INSERT INTO retry_members VALUES (1, 0, 2);`);
  migrate(raw);
  await using drivers = openEmbedded({
    clock: createManualClock(START_MS),
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(MASTER_KEY),
    database: raw,
  });
  const { rows } = await drivers.ledger.events({ tenant: TENANT }, 10, null);
  assert.deepEqual(
    rows.map(({ envelope, state }) => [envelope.id, state]),
    [
      ["evt_b", "pending"],
      ["evt_a", "filtered"],
    ],
  );
  const event = { tenant: TENANT, id: "evt_b", acceptedAtMs: START_MS, deliverAtMs: dueMs };
  assert.equal(await drivers.cancellations.cancel(event), "cancelled");
  assert.equal(await drivers.cancellations.begin(event), "cancelled");
});

test("a database that cannot be opened leaves no timer behind, whatever waits in it", async () => {
  using folder = createTemporaryFolder();
  {
    await using drivers = openFolder(folder.path);
    await drivers.directory.create(sampleEndpoint("ep_a"));
    await drivers.retryQueue.schedule([sampleScheduled(sampleEnvelopes(1), { notBeforeMs: START_MS + 3_600_000 })]);
  }
  const clock = createManualClock(START_MS);
  const open = (): EmbeddedDrivers =>
    openEmbedded({
      clock,
      entropy: systemEntropy,
      hasher: systemHasher,
      sealer: createSealer(MASTER_KEY.map((byte) => byte ^ 1)),
      database: { folder: folder.path },
    });
  assert.throws(open, { name: "SealBroken" });
  assert.equal(clock.timerCount(), 0);
});
