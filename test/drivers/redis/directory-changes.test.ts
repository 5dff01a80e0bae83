/** A tenant with many endpoints is read by what changed; what a process holds is what Redis holds all the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIRECTORY_AGE_MS_MAX } from "@posthaste/shared/drivers/redis/directory/answers.ts";
import { CHANGES_FROM, CHANGES_MAX } from "@posthaste/shared/drivers/redis/directory/scripts.ts";
import type { Seen } from "@posthaste/shared/drivers/redis/directory/store.ts";
import { createDirectoryStore } from "@posthaste/shared/drivers/redis/directory/store.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createChance } from "../../simulation/chance.ts";
import { sampleEndpoint, TENANT } from "../../support/samples.ts";
import type { DirectoryProcess } from "./directory-processes.ts";
import { openDirectoryHarness, openProcess } from "./directory-processes.ts";
import type { RedisHarness } from "./harness.ts";

const idOf = (index: number): string => `ep_${String(index).padStart(3, "0")}`;

async function fill(process: DirectoryProcess, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await process.directory.create(sampleEndpoint(idOf(index)));
}

const describe = (process: DirectoryProcess, id: string, description: string) =>
  process.directory.update(TENANT, id, (endpoint) => ({ ...endpoint, description }));

async function openFilled(count: number) {
  const harness = await openDirectoryHarness();
  const process = await openProcess(harness);
  await fill(process, count);
  const store = createDirectoryStore(harness);
  const seen = async (): Promise<Seen> => {
    const { epoch, version } = await store.version(TENANT);
    assert.ok(epoch !== null);
    return { epoch, version };
  };
  return {
    harness,
    process,
    store,
    seen,
    async [Symbol.asyncDispose]() {
      await process[Symbol.asyncDispose]();
      await harness[Symbol.asyncDispose]();
    },
  };
}

test("of many endpoints those alone are read that changed, were made or removed since", async () => {
  await using filled = await openFilled(CHANGES_FROM + 5);
  const { process, store } = filled;
  const before = await filled.seen();
  await describe(process, idOf(3), "another");
  await process.directory.create(sampleEndpoint("ep_new"));
  await process.directory.remove(TENANT, idOf(4));
  const read = await store.read(TENANT, before);
  assert.equal(read.isPart, true);
  assert.deepEqual(
    read.stored?.map(([id, text]) => [id, text === null]),
    [
      [idOf(3), false],
      ["ep_new", false],
      [idOf(4), true],
    ],
  );
  assert.match(read.stored[0]?.[1] ?? "", /"description":"another"/);
  assert.equal((await store.read(TENANT, await filled.seen())).stored, null, "nothing since");
});

test("few endpoints are read as a whole, and so are many by who has seen nothing or too little", async () => {
  await using filled = await openFilled(CHANGES_FROM - 1);
  const { process, store } = filled;
  const early = await filled.seen();
  await describe(process, idOf(0), "another");
  assert.equal((await store.read(TENANT, early)).isPart, false);
  for (const id of ["ep_x", "ep_y"]) await process.directory.create(sampleEndpoint(id));
  const seen = await filled.seen();
  for (let count = 0; count < CHANGES_MAX; count++) await describe(process, idOf(0), `${count}`);
  assert.equal((await store.read(TENANT, seen)).isPart, true);
  await describe(process, idOf(0), "one more");
  for (const given of [null, seen, early]) {
    const read = await store.read(TENANT, given);
    assert.deepEqual([read.isPart, read.stored?.length], [false, CHANGES_FROM + 1]);
  }
});

/** As a release does that notes nothing. */
const UNNOTED: RedisScript = {
  name: "test-unnoted-change",
  returns: "text",
  lua: `redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]); redis.call('SET', KEYS[1], ARGV[3]); return 'ok'`,
};

async function changeUnnoted({ commands, keys, clock }: RedisHarness, id: string, description: string): Promise<void> {
  const key = (name: string): string => keys.key(keys.shardOf(TENANT), `directory:${name}:${TENANT}`);
  const store = createDirectoryStore({ commands, keys });
  const { stored } = await store.find(TENANT, id);
  if (stored === null) return;
  const { version } = await store.version(TENANT);
  const text = stored.replace(/"description":"[^"]*"/, `"description":"${description}"`);
  await commands.run(UNNOTED, [key("version"), key("endpoints")], [id, text, Math.max(version + 1, clock.now())]);
}

test("a change that an earlier release did not note is read, and so is what comes behind it", async () => {
  await using filled = await openFilled(CHANGES_FROM + 5);
  const { harness, process, store } = filled;
  const before = await filled.seen();
  await changeUnnoted(harness, idOf(7), "unnoted");
  assert.equal((await store.read(TENANT, before)).isPart, false);
  const between = await filled.seen();
  await describe(process, idOf(8), "noted");
  assert.equal((await store.read(TENANT, before)).isPart, false);
  assert.deepEqual(
    (await store.read(TENANT, between)).stored?.map(([id]) => id),
    [idOf(8)],
  );
});

/** Past the age of memory, so that Redis is asked. */
async function readAll(process: DirectoryProcess): Promise<readonly (readonly [string, string])[]> {
  await process.clock.advance(DIRECTORY_AGE_MS_MAX + 1);
  const { endpoints } = await process.directory.endpoints(TENANT, 0);
  return endpoints.map(({ id, description }) => [id, description]);
}

for (let seed = 1; seed <= 20; seed++) {
  test(`what processes hold is what Redis holds, whatever was lost or changed by whom: seed ${seed}`, async () => {
    const chance = createChance(seed);
    await using harness = await openDirectoryHarness();
    await using stack = new AsyncDisposableStack();
    const processes: DirectoryProcess[] = [];
    for (let count = 0; count < 3; count++) processes.push(stack.use(await openProcess(harness)));
    const anyone = (): DirectoryProcess => chance.pick(processes);
    await fill(anyone(), CHANGES_FROM + 3);
    let goBack: (() => Promise<void>) | null = null;
    for (let step = 0; step < 60; step++) {
      // A version is a time: one that was lost with its change is never given again.
      await harness.clock.advance(100);
      const id = idOf(chance.whole(0, CHANGES_FROM + 12));
      const what = chance.whole(0, 9);
      if (what <= 3) await describe(anyone(), id, `step ${step}`);
      else if (what === 4) await anyone().directory.remove(TENANT, id);
      else if (what === 5 && (await anyone().directory.find(TENANT, id)) === null) {
        await anyone().directory.create(sampleEndpoint(id));
      } else if (what === 6) await changeUnnoted(harness, id, `step ${step}, unnoted`);
      else if (what === 7) goBack ??= await anyone().snapshot();
      else if (what === 8 && chance.isTrue(0.3)) {
        await goBack?.();
        goBack = null;
      } else await readAll(anyone());
    }
    // Whoever finds that Redis lost something writes it back, which the others read then.
    for (const process of [...processes, ...processes]) await readAll(process);
    await using fresh = await openProcess(harness);
    const held = await readAll(fresh);
    for (const process of processes) assert.deepEqual(await readAll(process), held);
  });
}
