/** A Redis that lost the directory, emptied or set back: what memory holds is kept and written back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isStoreUnavailable } from "@posthaste/shared/domain/errors.ts";
import { DIRECTORY_AGE_MS_MAX } from "@posthaste/shared/drivers/redis/directory/answers.ts";
import { LOSS_NOTED_MS } from "@posthaste/shared/drivers/redis/directory/epoch.ts";
import { readAll, withCode } from "../../contract/harness.ts";
import type { DirectoryProcess } from "./directory-processes.ts";
import { openDirectoryHarness, openProcess, openShardedDirectoryHarness } from "./directory-processes.ts";
import { START_MS, TENANT, sampleEndpoint } from "../../support/samples.ts";

function isLoss(error: unknown): boolean {
  return isStoreUnavailable(error) && /lost/.test(error.message);
}

async function idsIn(process: DirectoryProcess, tenant = TENANT): Promise<readonly string[]> {
  const pages = await readAll((cursor) => process.directory.list({ tenant }, 2, cursor));
  return pages.flat().map(({ id }) => id);
}

/** Three endpoints, known to the memory of the process. */
async function fill(process: DirectoryProcess, tenant = TENANT): Promise<number> {
  for (const id of ["ep_c", "ep_a", "ep_b"]) await process.directory.create(sampleEndpoint(id, { tenant }));
  const version = await process.directory.version(tenant);
  await process.directory.endpoints(tenant, version);
  return version;
}

test("an emptied Redis is refused, told, and filled again from memory, in the old order", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  const before = await fill(process);
  const { endpoints } = await process.directory.endpoints(TENANT, before);
  await process.flush();
  const after = await process.directory.version(TENANT);
  assert.ok(after > before);
  assert.ok(process.faults.length > 0 && process.faults.every(isLoss));
  await using other = await openProcess(harness);
  assert.deepEqual((await other.directory.endpoints(TENANT, after)).endpoints, endpoints);
  assert.deepEqual(await idsIn(other), ["ep_c", "ep_a", "ep_b"]);
  assert.equal((await other.directory.list({ tenant: null }, 10, null)).rows.length, 3);
});

test("in a Redis that was emptied while no process lived, a tenant that is not known is waited for, for a day", async () => {
  await using harness = await openDirectoryHarness();
  {
    await using before = await openProcess(harness);
    await before.flush();
  }
  await using process = await openProcess(harness, { wasUsed: true });
  assert.equal(process.directory.lossOf(0), START_MS);
  assert.equal(await process.directory.version(TENANT), 0);
  await assert.rejects(process.directory.endpoints(TENANT, 0), withCode("store-unavailable"));
  assert.equal(process.directory.peek(TENANT, 0), null);
  // Another one that comes later finds an epoch, and what it says.
  await using other = await openProcess(harness);
  await assert.rejects(other.directory.endpoints(TENANT, 0), withCode("store-unavailable"));
  await other.directory.create(sampleEndpoint("ep_new", { createdAtMs: START_MS + 1 }));
  const { endpoints, lostAtMs } = await process.directory.endpoints(TENANT, 0);
  assert.deepEqual([endpoints.map(({ id }) => id), lostAtMs], [["ep_new"], START_MS]);
  await process.clock.advance(LOSS_NOTED_MS);
  assert.deepEqual((await process.directory.endpoints("nobody", 0)).endpoints, []);
  assert.equal(process.directory.lossOf(0), null);
});

test("in a new deployment a tenant without endpoints has none", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness, { wasUsed: false });
  assert.deepEqual(await process.directory.endpoints(TENANT, 0), { version: 0, endpoints: [] });
  assert.equal(process.directory.lossOf(0), null);
});

test("a process that lives knows a tenant of before a flush, with endpoints or without, and no other", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await fill(process);
  await process.directory.endpoints("empty", 0);
  await process.clock.advance(1000);
  await process.flush();
  assert.equal(
    (await process.directory.endpoints(TENANT, await process.directory.version(TENANT))).lostAtMs,
    undefined,
  );
  assert.deepEqual((await process.directory.endpoints("empty", 0)).endpoints, []);
  await assert.rejects(process.directory.endpoints("another", 0), withCode("store-unavailable"));
});

test("a version that was seen is asked for also when Redis has lost it", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness, { memory: { tenantsMax: 1, bytesMax: 1_000_000 } });
  const version = await fill(process);
  // Takes the one place in memory.
  await fill(process, "another");
  await process.flush();
  assert.equal(await process.directory.version(TENANT), version);
});

test("reads, look-ups and writes each repair an emptied Redis first", async () => {
  const steps: readonly ((process: DirectoryProcess, version: number) => Promise<unknown>)[] = [
    async ({ directory }, version) => await directory.endpoints(TENANT, version + 1),
    async ({ directory }) => assert.equal((await directory.find(TENANT, "ep_a"))?.id, "ep_a"),
    async ({ directory }) => assert.ok(await directory.update(TENANT, "ep_a", (old) => ({ ...old, description: "x" }))),
    async ({ directory }) => {
      await directory.create(sampleEndpoint("ep_d"));
      assert.equal(await directory.remove(TENANT, "ep_d"), true);
    },
  ];
  for (const step of steps) {
    await using harness = await openDirectoryHarness();
    await using process = await openProcess(harness);
    const version = await fill(process);
    await process.flush();
    await step(process, version);
    assert.deepEqual(await idsIn(process), ["ep_c", "ep_a", "ep_b"]);
  }
});

test("one tenant that meets the loss brings back the others that memory holds", async () => {
  await using harness = await openShardedDirectoryHarness();
  await using process = await openProcess(harness);
  const tenants = ["acme", "globex", "initech", "umbrella"];
  for (const tenant of tenants) await fill(process, tenant);
  await process.flush();
  const shard = harness.keys.shardOf("acme");
  await process.directory.version("acme");
  await process.quiet();
  await using other = await openProcess(harness);
  for (const tenant of tenants.filter((name) => harness.keys.shardOf(name) === shard)) {
    assert.equal((await other.directory.endpoints(tenant, 0)).endpoints.length, 3, tenant);
  }
});

test("two processes that repair at the same time write back once, and both go on", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await using second = await openProcess(harness);
  const version = await fill(first);
  await second.directory.endpoints(TENANT, version);
  await first.flush();
  const versions = await Promise.all([first.directory.version(TENANT), second.directory.version(TENANT)]);
  assert.equal(versions[0], versions[1]);
  assert.deepEqual(await idsIn(second), ["ep_c", "ep_a", "ep_b"]);
});

test("what was removed after a repair does not come back from the memory of another process", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await using second = await openProcess(harness);
  const version = await fill(first);
  await second.directory.endpoints(TENANT, version);
  await first.flush();
  assert.equal(await first.directory.remove(TENANT, "ep_a"), true);
  await second.directory.version(TENANT);
  assert.deepEqual(await idsIn(second), ["ep_c", "ep_b"]);
  const atLeast = await first.directory.version(TENANT);
  const known = await second.directory.endpoints(TENANT, atLeast);
  assert.deepEqual(
    known.endpoints.map(({ id }) => id),
    ["ep_c", "ep_b"],
  );
});

test("what was created after the loss stays beside what memory brings back", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await fill(first);
  await first.flush();
  await using newcomer = await openProcess(harness);
  await newcomer.directory.create(sampleEndpoint("ep_new"));
  await first.directory.version(TENANT);
  assert.deepEqual(new Set(await idsIn(first)), new Set(["ep_a", "ep_b", "ep_c", "ep_new"]));
});

test("a Redis set back to an older state is refused and brought to what memory holds, removals too", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await fill(process);
  const setBack = await process.snapshot();
  await process.directory.update(TENANT, "ep_c", (endpoint) => ({ ...endpoint, status: "paused" }));
  await process.directory.remove(TENANT, "ep_a");
  await process.directory.create(sampleEndpoint("ep_d"));
  const version = await process.directory.version(TENANT);
  const held = await process.directory.endpoints(TENANT, version);
  await setBack();
  assert.ok((await process.directory.version(TENANT)) > version);
  assert.ok(process.faults.length > 0 && process.faults.every(isLoss));
  await using other = await openProcess(harness);
  assert.deepEqual((await other.directory.endpoints(TENANT, 0)).endpoints, held.endpoints);
  assert.deepEqual(await idsIn(other), ["ep_c", "ep_b", "ep_d"]);
  assert.equal((await other.directory.list({ tenant: null }, 10, null)).rows.length, 3);
});

test("a process without memory refuses a state older than the version that is asked for", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await process.directory.create(sampleEndpoint("ep_a"));
  const version = await process.directory.version(TENANT);
  await using other = await openProcess(harness);
  const read = other.directory.endpoints(TENANT, version + 1);
  await assert.rejects(read, withCode("store-unavailable"));
  assert.equal(other.faults.length, 1);
});

test("a process without memory goes on with an emptied Redis, in an epoch that all agree on", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await using second = await openProcess(harness);
  await first.flush();
  await Promise.all([first, second].map(async ({ directory }) => await directory.version(TENANT)));
  await first.directory.create(sampleEndpoint("ep_a"));
  const version = await first.directory.version(TENANT);
  assert.equal((await second.directory.endpoints(TENANT, version)).endpoints.length, 1);
  await second.directory.create(sampleEndpoint("ep_b"));
  assert.deepEqual(await idsIn(first), ["ep_a", "ep_b"]);
});

test("a process that only asks for versions tells that Redis was emptied, and fills it again", async () => {
  await using harness = await openDirectoryHarness();
  await using gateway = await openProcess(harness);
  {
    await using owner = await openProcess(harness);
    await fill(owner);
  }
  const before = await gateway.directory.version(TENANT);
  await gateway.quiet();
  await gateway.flush();
  const after = await gateway.directory.version(TENANT);
  assert.ok(after > before);
  await using processor = await openProcess(harness);
  assert.equal((await processor.directory.endpoints(TENANT, after)).endpoints.length, 3);
});

test("whoever acknowledged an endpoint writes it back when a failover lost it, though nobody else saw it", async () => {
  await using harness = await openDirectoryHarness();
  await using gateway = await openProcess(harness);
  const setBack = await gateway.snapshot();
  await gateway.directory.create(sampleEndpoint("ep_a"));
  await gateway.quiet();
  await setBack();
  const version = await gateway.directory.version(TENANT);
  await using processor = await openProcess(harness);
  assert.deepEqual((await processor.directory.endpoints(TENANT, version)).endpoints, [sampleEndpoint("ep_a")]);
});

test("a version newer than memory's is read, although its announcement was lost", async () => {
  await using harness = await openDirectoryHarness();
  await using gateway = await openProcess(harness);
  await using owner = await openProcess(harness);
  await gateway.directory.create(sampleEndpoint("ep_a"));
  await gateway.quiet();
  await owner.directory.create(sampleEndpoint("ep_b"));
  await gateway.directory.version(TENANT);
  await gateway.quiet();
  await gateway.flush();
  await gateway.directory.version(TENANT);
  assert.deepEqual(await idsIn(gateway), ["ep_a", "ep_b"]);
});

test("a process at rest writes back what it holds when another one finds Redis emptied", async () => {
  await using harness = await openShardedDirectoryHarness();
  await using resting = await openProcess(harness);
  const tenants = ["acme", "globex", "initech", "umbrella"];
  for (const tenant of tenants) await fill(resting, tenant);
  await resting.flush();
  await using newcomer = await openProcess(harness);
  await harness.clock.settle();
  await resting.quiet();
  for (const tenant of tenants)
    assert.equal((await newcomer.directory.endpoints(tenant, 0)).endpoints.length, 3, tenant);
});

test("a process at rest writes back what a failover lost when it is connected again", async () => {
  await using harness = await openDirectoryHarness();
  await using resting = await openProcess(harness);
  const setBack = await resting.snapshot();
  const version = await fill(resting);
  await setBack();
  resting.reconnect();
  await resting.quiet();
  await using other = await openProcess(harness);
  assert.equal((await other.directory.endpoints(TENANT, version)).endpoints.length, 3);
});

test("a repair that Redis broke off by going away goes on once it answers", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  const tenants = ["acme", "globex", "initech", "umbrella"];
  for (const tenant of tenants) await fill(process, tenant);
  await process.flush();
  await process.directory.version("acme");
  process.setAway(true);
  await process.quiet();
  process.setAway(false);
  await process.clock.advance(DIRECTORY_AGE_MS_MAX);
  await process.directory.endpoints("acme", 0);
  await process.quiet();
  assert.equal((await process.directory.list({ tenant: null }, 100, null)).rows.length, 12);
});

test("a process without memory that refuses a tenant has it written back by one at rest that holds it", async () => {
  await using harness = await openDirectoryHarness();
  await using resting = await openProcess(harness);
  const setBack = await resting.snapshot();
  const version = await fill(resting);
  await setBack();
  await using other = await openProcess(harness);
  const ask = async () => await other.directory.endpoints(TENANT, version);
  await assert.rejects(ask(), withCode("store-unavailable"));
  await harness.clock.settle();
  await resting.quiet();
  assert.equal((await ask()).endpoints.length, 3);
});

test("a tenant that stays refused is told once for each age, not for each event, until an endpoint is created", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  const lost = START_MS - 1;
  const ask = async () => await process.directory.endpoints(TENANT, lost);
  for (let count = 0; count < 10; count++) await assert.rejects(ask(), withCode("store-unavailable"));
  assert.equal(process.faults.length, 1);
  await process.clock.advance(DIRECTORY_AGE_MS_MAX);
  await assert.rejects(ask(), withCode("store-unavailable"));
  assert.equal(process.faults.length, 2);
  await process.directory.create(sampleEndpoint("ep_a"));
  assert.equal((await ask()).endpoints.length, 1);
});

test("a process that is asked nothing asks Redis nothing", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await fill(process);
  await process.quiet();
  const asked = process.scripts.length;
  await process.clock.advance(24 * 3600_000);
  await process.quiet();
  assert.equal(process.scripts.length, asked);
  assert.equal(process.clock.timerCount(), 0);
});
