/** A new master key for a database: what was sealed anew, what was not, and what is damaged are told apart at each start. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { createDatabase } from "@posthaste/shared/drivers/sqlite/database.ts";
import { resealDatabase } from "@posthaste/shared/drivers/sqlite/reseal.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEndpoint } from "../../support/samples.ts";

const NEW = new Uint8Array(32).fill(9);
const old = createSealer(MASTER_KEY);
const both = createSealer(NEW, { previous: MASTER_KEY });
const alone = createSealer(NEW);
/** More than one transaction. */
const COUNT = 1100;

function open(database: DatabaseSync, sealer: Sealer) {
  const faults: unknown[] = [];
  const drivers = openEmbedded({
    clock: createManualClock(START_MS),
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer,
    database,
    onFault: (error) => void faults.push(error),
  });
  return { drivers, faults };
}

async function filled(count: number): Promise<DatabaseSync> {
  const raw = new DatabaseSync(":memory:");
  await using drivers = open(raw, old).drivers;
  const names = Array.from({ length: count }, (_, index) => index);
  await Promise.all(
    names.map((index) => drivers.directory.create(sampleEndpoint(`ep_${index}`, { tenant: `t${index % 3}` }))),
  );
  return raw;
}

/** Of those that read back as they were created, secrets and headers too. */
async function readableCount(raw: DatabaseSync, sealer: Sealer): Promise<number> {
  const { drivers, faults } = open(raw, sealer);
  const read = await Promise.all(["t0", "t1", "t2"].map((tenant) => drivers.directory.endpoints(tenant, 0)));
  await drivers[Symbol.asyncDispose]();
  assert.deepEqual(faults, []);
  const all = read.flatMap(({ endpoints }) => endpoints);
  for (const found of all) {
    const { id, tenant, description } = found;
    assert.deepEqual(found, { ...sampleEndpoint(id, { tenant }), description });
  }
  return all.length;
}

test("a run that dies at any commit is begun again; the new key alone is refused until one has ended", async () => {
  for (let deadAt = 0; deadAt < 4; deadAt++) {
    const raw = await filled(COUNT);
    const database = createDatabase(raw);
    let commits = 0;
    const dying = {
      ...database,
      exec(sql: string) {
        if (sql === "COMMIT" && commits++ === deadAt) throw new Error("killed");
        database.exec(sql);
      },
    };
    assert.equal(resealDatabase({ database, sealer: both, isDryRun: true }).resealed, COUNT);
    if (deadAt < 3) {
      assert.throws(() => resealDatabase({ database: dying, sealer: both, isDryRun: false }), /killed/);
      // What a process that dies has not committed is gone.
      raw.exec("ROLLBACK");
      assert.throws(() => open(raw, alone), { name: "SealBroken" });
      assert.equal(await readableCount(raw, both), COUNT);
    }
    const report = resealDatabase({ database, sealer: both, isDryRun: false });
    assert.deepEqual([report.looked, report.isDone, report.unreadableCount], [COUNT, true, 0]);
    assert.equal(await readableCount(raw, alone), COUNT);
    assert.throws(() => open(raw, old), { name: "SealBroken" });
    raw.close();
  }
});

test("a damaged row is damaged and not of another key, with one key and with two, and is left as it is", async () => {
  const raw = await filled(4);
  raw.exec("UPDATE endpoints SET secrets = zeroblob(50) WHERE endpoint_id = 'ep_1'");
  for (const sealer of [old, both]) {
    const { drivers, faults } = open(raw, sealer);
    assert.match(String(faults), /ep_1 .* does not read back/);
    await drivers[Symbol.asyncDispose]();
  }
  const report = resealDatabase({ database: createDatabase(raw), sealer: both, isDryRun: false });
  assert.deepEqual([report.resealed, report.unreadable, report.isDone], [3, ["t1/ep_1"], true]);
  const { drivers, faults } = open(raw, alone);
  assert.equal(faults.length, 1);
  await drivers[Symbol.asyncDispose]();
  raw.close();
});

test("a database of a version without the word keeps the previous key until it was looked through", async () => {
  const raw = await filled(3);
  raw.exec("DELETE FROM master_key");
  {
    await using drivers = open(raw, both).drivers;
    await drivers.directory.update("t0", "ep_0", (endpoint) => ({ ...endpoint, description: "new" }));
  }
  assert.throws(() => open(raw, alone), { name: "SealBroken" });
  assert.equal(resealDatabase({ database: createDatabase(raw), sealer: both, isDryRun: false }).resealed, 2);
  assert.equal(await readableCount(raw, alone), 3);
  raw.close();
});
