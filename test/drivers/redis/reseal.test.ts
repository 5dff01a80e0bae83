/** The master key is changed while processes go on: all read all at each step, and the command may die at any line. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisCommands } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { resealDirectory } from "@posthaste/shared/drivers/redis/directory/reseal.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { readAll } from "../../contract/harness.ts";
import { sampleEndpoint } from "../../support/samples.ts";
import type { DirectoryProcess } from "./directory-processes.ts";
import { openDirectoryHarness, openProcess, openShardedDirectoryHarness } from "./directory-processes.ts";
import type { RedisHarness } from "./harness.ts";

const OLD = MASTER_KEY;
const NEW = new Uint8Array(32).fill(9);
/** As the settings of each step of a change have them. */
const STEPS = {
  before: createSealer(OLD),
  first: createSealer(OLD, { next: NEW }),
  second: createSealer(NEW, { previous: OLD }),
  after: createSealer(NEW),
} as const;
const TENANTS = ["acme", "globex", "initech"] as const;
const SECRETS = {
  secrets: [{ secret: `whsec_${Buffer.alloc(32, 5).toString("base64")}`, createdAtMs: 1, expiresAtMs: null }],
  headers: { authorization: "Bearer x" },
};

const reseal = (harness: RedisHarness, parts: { sealer?: Sealer; isDryRun?: boolean; commands?: RedisCommands } = {}) =>
  resealDirectory({
    commands: parts.commands ?? harness.commands,
    keys: harness.keys,
    sealer: parts.sealer ?? STEPS.second,
    isDryRun: parts.isDryRun ?? false,
  });

async function fill({ directory }: DirectoryProcess, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const tenant = TENANTS[index % TENANTS.length] ?? "acme";
    await directory.create(sampleEndpoint(`ep_${index}`, { tenant, ...SECRETS, createdAtMs: 1000 + index }));
  }
}

async function endpointsOf({ directory }: DirectoryProcess) {
  const pages = await readAll((cursor) => directory.list({ tenant: null }, 100, cursor));
  return pages.flat();
}

for (const [name, open] of [
  ["one shard", openDirectoryHarness],
  ["three shards", openShardedDirectoryHarness],
] as const) {
  test(`reseal on ${name}: everything is sealed anew, tells nobody another endpoint, and finds nothing the next time`, async () => {
    await using harness = await open();
    await using old = await openProcess(harness, { sealer: STEPS.first });
    await fill(old, 130);
    const before = await endpointsOf(old);
    assert.deepEqual((await reseal(harness, { isDryRun: true })).resealed, 130);
    await assert.rejects(openProcess(harness, { sealer: STEPS.after }), /PREVIOUS.*until `posthaste reseal` says/s);
    const report = await reseal(harness);
    assert.deepEqual(report, { looked: 130, resealed: 130, unreadable: [], unreadableCount: 0, isDone: true });
    await using fresh = await openProcess(harness, { sealer: STEPS.after });
    assert.deepEqual(await endpointsOf(fresh), before);
    assert.deepEqual(await endpointsOf(old), before);
    for (const tenant of TENANTS) {
      const mine = before.filter((endpoint) => endpoint.tenant === tenant);
      assert.deepEqual((await fresh.directory.endpoints(tenant, 0)).endpoints, mine);
      assert.deepEqual((await old.directory.endpoints(tenant, 0)).endpoints, mine);
    }
    assert.deepEqual([fresh.faults, old.faults], [[], []]);
    assert.deepEqual(await reseal(harness), { ...report, resealed: 0 });
    await assert.rejects(openProcess(harness, { sealer: STEPS.before }), /POSTHASTE_MASTER_KEY is not the key/);
  });
}

test("a dry run changes nothing", async () => {
  await using harness = await openDirectoryHarness();
  await using old = await openProcess(harness, { sealer: STEPS.before });
  await fill(old, 7);
  const before = await old.dump();
  const report = await reseal(harness, { isDryRun: true });
  assert.deepEqual([report.looked, report.resealed, report.isDone], [7, 7, false]);
  assert.deepEqual(await old.dump(), before);
});

test("at each step of a rollout both kinds of process read and change what the other wrote", async () => {
  await using harness = await openDirectoryHarness();
  for (const [one, other] of [
    ["before", "first"],
    ["first", "second"],
    ["second", "after"],
  ] as const) {
    if (other === "after") assert.equal((await reseal(harness)).isDone, true);
    await using left = await openProcess(harness, { sealer: STEPS[one] });
    await using right = await openProcess(harness, { sealer: STEPS[other] });
    for (const [writer, reader, id] of [
      [left, right, `ep_${one}`],
      [right, left, `ep_${other}_beside_${one}`],
    ] as const) {
      await writer.directory.create(sampleEndpoint(id, { tenant: "acme", ...SECRETS }));
      const changed = await reader.directory.update("acme", id, (endpoint) => ({ ...endpoint, description: id }));
      assert.deepEqual(changed?.secrets, SECRETS.secrets);
      assert.equal((await writer.directory.find("acme", id))?.description, id);
    }
    const version = await left.directory.version("acme");
    const { endpoints, unreadable } = await left.directory.endpoints("acme", version);
    assert.deepEqual(
      [(await right.directory.endpoints("acme", version)).endpoints, unreadable],
      [endpoints, undefined],
    );
    assert.deepEqual([left.faults, right.faults], [[], []]);
  }
});

/** Passes calls on, and calls `before` ahead of each script that writes. */
function interrupted(commands: RedisCommands, before: (nth: number) => Promise<void>): RedisCommands {
  let writes = 0;
  return {
    ...commands,
    async run(script, keys, args) {
      if (["directory-reseal", "replace-key"].includes(script.name)) await before(writes++);
      return await commands.run(script, keys, args);
    },
  };
}

test("a run that dies before any of its writes loses nothing, and the next one ends what it began", async () => {
  for (let deadAt = 0; deadAt < 11; deadAt++) {
    await using harness = await openDirectoryHarness();
    await using old = await openProcess(harness, { sealer: STEPS.first });
    await fill(old, 110);
    const before = await endpointsOf(old);
    const commands = interrupted(harness.commands, async (nth) => {
      if (nth >= deadAt) throw new Error("killed");
    });
    await reseal(harness, { commands }).catch((error: unknown) => assert.match(String(error), /killed/));
    assert.deepEqual(await endpointsOf(old), before);
    await using second = await openProcess(harness, { sealer: STEPS.second });
    assert.deepEqual(await endpointsOf(second), before);
    const done = await reseal(harness);
    assert.deepEqual([done.looked, done.isDone, done.unreadableCount], [110, true, 0]);
    await using after = await openProcess(harness, { sealer: STEPS.after });
    assert.deepEqual(await endpointsOf(after), before);
  }
});

test("two runs beside each other, and a change that comes between a read and its write: the change holds", async () => {
  await using harness = await openDirectoryHarness();
  await using old = await openProcess(harness, { sealer: STEPS.first });
  await fill(old, 60);
  // With the key of the step before: it has to be found in another pass.
  const change = (nth: number) =>
    nth < 3
      ? old.directory
          .update("acme", `ep_${nth * 3}`, (endpoint) => ({ ...endpoint, description: "changed" }))
          .then(() => undefined)
      : Promise.resolve();
  const reports = await Promise.all([
    reseal(harness, { commands: interrupted(harness.commands, change) }),
    reseal(harness),
  ]);
  assert.deepEqual(
    reports.map(({ isDone }) => isDone),
    [true, true],
  );
  await reseal(harness);
  await using after = await openProcess(harness, { sealer: STEPS.after });
  const found = await endpointsOf(after);
  assert.deepEqual([found.length, found.filter(({ description }) => description === "changed").length], [60, 3]);
});

test("an endpoint that no key opens is named and left as it is, and keeps nothing from being done", async () => {
  await using harness = await openDirectoryHarness();
  await using old = await openProcess(harness, { sealer: STEPS.first });
  await fill(old, 4);
  await using stranger = await openProcess(harness, {
    sealer: createSealer(new Uint8Array(32).fill(3), { previous: OLD }),
  });
  await stranger.directory.create(sampleEndpoint("ep_odd", { tenant: "acme" }));
  const report = await reseal(harness);
  assert.deepEqual([report.unreadable, report.unreadableCount, report.resealed], [["acme/ep_odd"], 1, 4]);
  assert.equal(report.isDone, true);
  assert.equal(
    (await endpointsOf(stranger)).some(({ id }) => id === "ep_odd"),
    true,
  );
});

test("a process that goes on writing with the previous key keeps the run from saying that it is done", async () => {
  await using harness = await openDirectoryHarness();
  await using old = await openProcess(harness, { sealer: STEPS.first });
  await fill(old, 1);
  let count = 0;
  const commands = interrupted(harness.commands, async () => {
    await old.directory.create(sampleEndpoint(`ep_more_${count++}`, { tenant: "acme" }));
  });
  const { isDone, resealed } = await reseal(harness, { commands });
  assert.deepEqual([isDone, resealed], [false, 10]);
  await assert.rejects(openProcess(harness, { sealer: STEPS.after }), /POSTHASTE_MASTER_KEY is not the key/);
});

test("what is sealed with the previous key beside the last write is found by the pass behind it", async () => {
  await using harness = await openDirectoryHarness();
  await using old = await openProcess(harness, { sealer: STEPS.first });
  await fill(old, 1);
  const commands: RedisCommands = {
    ...harness.commands,
    async run(script, keys, args) {
      if (script.name === "replace-key") await old.directory.create(sampleEndpoint("ep_late", { tenant: "acme" }));
      return await harness.commands.run(script, keys, args);
    },
  };
  assert.deepEqual(await reseal(harness, { commands }), {
    looked: 2,
    resealed: 2,
    unreadable: [],
    unreadableCount: 0,
    isDone: true,
  });
  await using after = await openProcess(harness, { sealer: STEPS.after });
  assert.equal((await endpointsOf(after)).length, 2);
});

test("what a process writes back after a loss is under the present key, however old its memory", async () => {
  await using harness = await openDirectoryHarness();
  await using old = await openProcess(harness, { sealer: STEPS.first });
  await fill(old, 6);
  await using second = await openProcess(harness, { sealer: STEPS.second });
  const before = await Promise.all(TENANTS.map((tenant) => second.directory.endpoints(tenant, 0)));
  assert.equal((await reseal(harness)).isDone, true);
  await second.flush();
  second.reconnect();
  await second.quiet();
  await using after = await openProcess(harness, { sealer: STEPS.after });
  const found = await Promise.all(TENANTS.map((tenant) => after.directory.endpoints(tenant, 0)));
  assert.deepEqual(
    found.map(({ endpoints }) => endpoints),
    before.map(({ endpoints }) => endpoints),
  );
  assert.deepEqual(after.faults, []);
});

test("a Redis that an older version filled needs the previous key until it was looked through", async () => {
  await using harness = await openDirectoryHarness();
  await using old = await openProcess(harness, { sealer: STEPS.before });
  await fill(old, 2);
  const forget = { name: "forget", lua: "return redis.call('DEL', KEYS[1])", returns: "text" } as const;
  await harness.commands.run(forget, [harness.keys.key(0, "directory:master-key")], []);
  await using second = await openProcess(harness, { sealer: STEPS.second });
  await second.directory.update("globex", "ep_1", (endpoint) => ({ ...endpoint, description: "new" }));
  await assert.rejects(openProcess(harness, { sealer: STEPS.after }), /POSTHASTE_MASTER_KEY is not the key/);
  assert.deepEqual([(await reseal(harness)).resealed, second.faults], [1, []]);
  await using after = await openProcess(harness, { sealer: STEPS.after });
  assert.equal((await endpointsOf(after)).length, 2);
});
