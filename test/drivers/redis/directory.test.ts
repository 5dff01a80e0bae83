/** The directory in Redis: its contract, several processes on one Redis, and a Redis that is away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import { DIRECTORY_AGE_MS_MAX } from "@posthaste/shared/drivers/redis/directory/answers.ts";
import { createNotifier } from "@posthaste/shared/drivers/memory/notifier.ts";
import { createRedisNotifier } from "@posthaste/shared/drivers/redis/notifier.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { SingleFlight } from "@posthaste/shared/lib/single-flight.ts";
import { directoryContract } from "../../contract/directory.contract.ts";
import { readAll, withCode } from "../../contract/harness.ts";
import { openDirectoryHarness, openProcess, openShardedDirectoryHarness } from "./directory-processes.ts";
import { START_MS, TENANT, sampleEndpoint } from "../../support/samples.ts";

directoryContract("redis", openDirectoryHarness);
directoryContract("redis with 3 shards", openShardedDirectoryHarness);

test("a change made by one process is seen by another that asks for its version, 200 times", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await using second = await openProcess(harness);
  for (let count = 1; count <= 200; count++) {
    await first.directory.create(sampleEndpoint(`ep_${count}`));
    const atLeast = await first.directory.version(TENANT);
    const { version, endpoints } = await second.directory.endpoints(TENANT, atLeast);
    assert.ok(version >= atLeast);
    assert.deepEqual([endpoints.length, endpoints.at(-1)?.id], [count, `ep_${count}`]);
  }
});

test("endpoints() answers from memory without Redis while memory has the version", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await process.directory.create(sampleEndpoint("ep_a"));
  const atLeast = await process.directory.version(TENANT);
  const { endpoints } = await process.directory.endpoints(TENANT, atLeast);
  const asked = process.scripts.length;
  for (const version of [atLeast, 0]) {
    const known = process.directory.peek(TENANT, version);
    assert.ok(known !== null);
    assert.equal(known.endpoints, endpoints);
  }
  assert.equal(process.scripts.length, asked);
});

test("an announced change is read in the background; its endpoints that stayed the same keep their object", async () => {
  await using harness = await openDirectoryHarness();
  const { commands, keys } = harness;
  await using notifier = createRedisNotifier({ commands, keys, entropy: systemEntropy, onFault: assert.ifError });
  await using first = await openProcess(harness);
  await using second = await openProcess(harness, { notifier });
  await first.directory.create(sampleEndpoint("ep_a"));
  const before = await second.directory.endpoints(TENANT, 0);
  await first.directory.create(sampleEndpoint("ep_b"));
  await harness.clock.settle();
  await second.quiet();
  const known = second.directory.peek(TENANT, 0);
  assert.ok(known !== null);
  assert.deepEqual(
    known.endpoints.map(({ id }) => id),
    ["ep_a", "ep_b"],
  );
  assert.equal(known.endpoints[0], before.endpoints[0]);
});

test("an announcement that arrives during a read makes that read old", async () => {
  await using harness = await openDirectoryHarness();
  const notifier = createNotifier({ onFault: (error) => assert.ifError(error) });
  await using first = await openProcess(harness);
  await using second = await openProcess(harness, { notifier });
  await first.directory.create(sampleEndpoint("ep_a"));
  const reading = second.directory.endpoints(TENANT, 0);
  notifier.publish({ kind: "directory-changed", tenant: TENANT, endpointId: "ep_a" });
  await reading;
  assert.equal(second.directory.peek(TENANT, 0), null);
  await second.quiet();
});

test("a change whose announcement was lost is seen once memory is too old", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await using second = await openProcess(harness);
  await first.directory.create(sampleEndpoint("ep_a"));
  const { version } = await second.directory.endpoints(TENANT, 0);
  await first.directory.update(TENANT, "ep_a", (endpoint) => ({ ...endpoint, status: "paused" }));
  await second.clock.advance(DIRECTORY_AGE_MS_MAX);
  const known = second.directory.peek(TENANT, version);
  assert.ok(known !== null, "what a version asks for is there, so nobody waits");
  assert.equal(known.endpoints[0]?.status, "active");
  await second.quiet();
  assert.equal((await second.directory.endpoints(TENANT, version)).endpoints[0]?.status, "paused");
});

test("whoever names no version waits for the present state once memory is too old", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await using second = await openProcess(harness);
  assert.deepEqual(await second.directory.endpoints(TENANT, 0), { version: 0, endpoints: [] });
  await first.directory.create(sampleEndpoint("ep_a"));
  await second.clock.advance(DIRECTORY_AGE_MS_MAX);
  assert.equal((await second.directory.endpoints(TENANT, 0)).endpoints.length, 1);
});

test("versions asked for at the same time take two questions to Redis at most", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await process.directory.create(sampleEndpoint("ep_a"));
  const asked = process.scripts.length;
  const versions = await Promise.all(Array.from({ length: 100 }, async () => await process.directory.version(TENANT)));
  assert.equal(new Set(versions).size, 1);
  assert.equal(process.scripts.length - asked, 2);
});

test("of questions for one tenant one is under way at a time, and none is answered from before it was asked", async () => {
  let begun = 0;
  let underWay = 0;
  const flight = new SingleFlight<string, number>(async () => {
    const number = ++begun;
    assert.equal(++underWay, 1);
    await Promise.resolve();
    underWay--;
    return number;
  });
  // Whoever was answered first asks again before those who wait for the next turn.
  const twice = flight.askAfresh(TENANT).then(async () => await flight.askAfresh(TENANT));
  const next = flight.askAfresh(TENANT);
  assert.deepEqual([begun, await twice, await next], [1, 2, 2]);
});

test("past its bound memory lets go of the tenant that was unused for longest", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness, { memory: { tenantsMax: 2, bytesMax: 1e6 } });
  const isInMemory = (tenant: string): boolean => {
    return process.directory.peek(tenant, 0) !== null;
  };
  await process.directory.endpoints("a", 0);
  await process.directory.endpoints("b", 0);
  await process.directory.endpoints("a", 0);
  await process.directory.endpoints("c", 0);
  assert.deepEqual(["a", "c"].map(isInMemory), [true, true]);
  assert.equal(isInMemory("b"), false);
  await process.quiet();
});

test("memory is bounded in bytes; a tenant that is larger alone is kept alone", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness, { memory: { tenantsMax: 100, bytesMax: 10_000 } });
  await process.directory.create(sampleEndpoint("ep_a"));
  await process.directory.create(sampleEndpoint("ep_large", { tenant: "large", description: "x".repeat(10_000) }));
  await process.directory.endpoints(TENANT, 0);
  await process.directory.endpoints("large", 0);
  assert.ok(process.directory.peek("large", 0) !== null);
  assert.equal(process.directory.peek(TENANT, 0), null);
  await process.quiet();
});

test("neither secrets nor headers lie in Redis in the clear", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await process.directory.create(sampleEndpoint("ep_a", { headers: { authorization: "Bearer hidden" } }));
  const dump = JSON.stringify(await process.dump());
  assert.match(dump, /example\.com/);
  assert.doesNotMatch(dump, /whsec_|Bearer|hidden|authorization/);
});

test("a command that was sent twice, for want of an answer, has its effect once", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness, { isSentTwice: true });
  await process.directory.create(sampleEndpoint("ep_a", { description: "" }));
  const changed = await process.directory.update(TENANT, "ep_a", (endpoint) => ({
    ...endpoint,
    description: `${endpoint.description}x`,
  }));
  assert.equal(changed?.description, "x");
  assert.equal((await process.directory.find(TENANT, "ep_a"))?.description, "x");
  assert.equal((await process.directory.list({ tenant: null }, 10, null)).rows.length, 1);
});

test("endpoints of all shards come in one order, page by page", async () => {
  await using harness = await openShardedDirectoryHarness();
  await using process = await openProcess(harness);
  const tenants = ["acme", "globex", "initech", "umbrella", "hooli"];
  for (const [index, tenant] of tenants.entries()) {
    await process.directory.create(sampleEndpoint(`ep_${index}`, { tenant, createdAtMs: START_MS + index }));
    await process.directory.create(sampleEndpoint(`ep_${index}_late`, { tenant, createdAtMs: START_MS + 10 - index }));
  }
  const pages = await readAll((cursor) => process.directory.list({ tenant: null }, 3, cursor));
  const times = pages.flat().map(({ createdAtMs }) => createdAtMs);
  assert.deepEqual(
    pages.map((page) => page.length),
    [3, 3, 3, 1],
  );
  assert.deepEqual(
    times,
    times.toSorted((left, right) => left - right),
  );
  assert.deepEqual(new Set(pages.flat().map(({ tenant }) => tenant)), new Set(tenants));
});

test("while Redis is away memory serves at any age, the last version is given, and changes are refused", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await process.directory.create(sampleEndpoint("ep_a"));
  const version = await process.directory.version(TENANT);
  await process.directory.endpoints(TENANT, version);
  process.setAway(true);
  await process.clock.advance(3600_000);
  assert.equal(await process.directory.version(TENANT), version);
  assert.equal(await process.directory.version("globex"), 0);
  assert.equal((await process.directory.endpoints(TENANT, version)).endpoints.length, 1);
  assert.equal((await process.directory.endpoints(TENANT, 0)).endpoints.length, 1);
  const unavailable = withCode("store-unavailable");
  await assert.rejects(process.directory.endpoints(TENANT, version + 1), unavailable);
  await assert.rejects(process.directory.endpoints("globex", 0), unavailable);
  await assert.rejects(process.directory.create(sampleEndpoint("ep_b")), unavailable);
  await assert.rejects(process.directory.find(TENANT, "ep_a"), unavailable);
  assert.deepEqual(process.faults, [], "that Redis is away is told by its connection");
});

test("while Redis is away a tenant in memory costs one question for each age, not for each event", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await process.directory.endpoints(TENANT, 0);
  process.setAway(true);
  await process.clock.advance(DIRECTORY_AGE_MS_MAX);
  const asked = process.scripts.length;
  for (let count = 0; count < 100; count++) await process.directory.endpoints(TENANT, 0);
  assert.equal(process.scripts.length - asked, 1);
});

test("opening while Redis is away is refused", async () => {
  await using harness = await openDirectoryHarness();
  await assert.rejects(openProcess(harness, { isAway: true }), withCode("store-unavailable"));
});

const OTHER_KEY = new Uint8Array(32).fill(9);

test("a process with another master key is refused, also before there is any endpoint", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await assert.rejects(
    openProcess(harness, { sealer: createSealer(OTHER_KEY) }),
    /POSTHASTE_MASTER_KEY is not the key/,
  );
  await first.directory.create(sampleEndpoint("ep_a"));
  await assert.rejects(
    openProcess(harness, { sealer: createSealer(OTHER_KEY) }),
    /POSTHASTE_MASTER_KEY is not the key/,
  );
  await using second = await openProcess(harness);
  assert.equal((await second.directory.endpoints(TENANT, 0)).endpoints.length, 1);
});

test("a Redis that an older version filled is no reason to take another master key", async () => {
  await using harness = await openDirectoryHarness();
  await using first = await openProcess(harness);
  await first.directory.create(sampleEndpoint("ep_a"));
  const forget = { name: "forget", lua: "return redis.call('DEL', KEYS[1])", returns: "text" } as const;
  await harness.commands.run(forget, [harness.keys.key(0, "directory:master-key")], []);
  await assert.rejects(
    openProcess(harness, { sealer: createSealer(OTHER_KEY) }),
    /POSTHASTE_MASTER_KEY is not the key/,
  );
  await using second = await openProcess(harness);
  assert.equal((await second.directory.endpoints(TENANT, 0)).endpoints.length, 1);
});
