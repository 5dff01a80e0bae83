/** A record of the directory in Redis that does not read back costs itself: the tenant's other endpoints go on, and all starts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import { DIRECTORY_AGE_MS_MAX } from "@posthaste/shared/drivers/redis/directory/answers.ts";
import { endpointText } from "@posthaste/shared/drivers/redis/directory/record.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { damagedEndpoints } from "@posthaste/shared/ports/directory.ts";
import { withCode } from "../../contract/harness.ts";
import { TENANT, sampleEndpoint } from "../../support/samples.ts";
import type { RedisHarness } from "./harness.ts";
import { openDirectoryHarness, openProcess } from "./directory-processes.ts";

const SET: RedisScript = {
  name: "by-hand",
  returns: "text",
  lua: "return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])",
};
const FIND: RedisScript = { name: "by-hand-too", returns: "text", lua: "return redis.call('HGET', KEYS[1], ARGV[1])" };
const WRONG: RedisScript = {
  name: "by-hand-three",
  returns: "text",
  lua: "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], 'junk') return 'ok'",
};
const OTHER_KEY = new Uint8Array(32).fill(9);
const PLACE = `${"0".repeat(16)}:${"0".repeat(16)}:`;
const rowsKey = ({ keys }: RedisHarness, tenant = TENANT): string => keys.key(0, `directory:endpoints:${tenant}`);

const DAMAGE: Readonly<Record<string, string>> = {
  "an empty text": "",
  "no JSON": `${PLACE}{`,
  "another kind": `${PLACE}[1]`,
  "no sealed part": `${PLACE}{"url":"https://a.example/"}`,
  "a seal of another key": PLACE + endpointText(sampleEndpoint("ep_b"), createSealer(OTHER_KEY)),
  "a megabyte": "x".repeat(1_000_000),
};

for (const [name, stored] of Object.entries(DAMAGE)) {
  test(`an endpoint's record with ${name} costs that endpoint alone, and a process starts beside it`, async () => {
    await using harness = await openDirectoryHarness();
    await using first = await openProcess(harness);
    for (const id of ["ep_a", "ep_b", "ep_c"]) await first.directory.create(sampleEndpoint(id));
    const good = await harness.commands.run(FIND, [rowsKey(harness)], ["ep_b"]);
    await harness.commands.run(SET, [rowsKey(harness)], ["ep_b", stored]);
    await harness.commands.run(SET, [rowsKey(harness)], ["no/name", "{}"]);

    await using second = await openProcess(harness);
    const known = await second.directory.endpoints(TENANT, 0);
    assert.deepEqual(known.endpoints.map(({ id }) => id).toSorted(), ["ep_a", "ep_c"]);
    assert.deepEqual(known.unreadable, ["ep_b"]);
    assert.deepEqual(second.directory.damaged().toSorted(), [`${TENANT}/ep_b`, `${TENANT}/no/name`]);
    assert.match(damagedEndpoints(second.directory.damaged())[0] ?? "", /do not read back: acme\/ep_b/);
    assert.ok(second.faults.some((fault) => fault instanceof Error && /ep_b of the tenant acme/.test(fault.message)));
    for (const tenant of [TENANT, null]) {
      const { rows } = await second.directory.list({ tenant }, 10, null);
      assert.deepEqual(
        rows.map(({ id }) => id),
        ["ep_a", "ep_c"],
      );
    }
    assert.deepEqual((await second.directory.list({ tenant: TENANT, status: "active" }, 10, null)).rows.length, 2);
    await assert.rejects(second.directory.find(TENANT, "ep_b"), withCode("store-unavailable"));
    await assert.rejects(
      second.directory.update(TENANT, "ep_b", (old) => old),
      withCode("store-unavailable"),
    );
    await second.directory.create(sampleEndpoint("ep_d"));
    assert.notEqual(await second.directory.update(TENANT, "ep_a", (old) => ({ ...old, description: "new" })), null);

    // Who read it before goes on with what it was.
    await first.clock.advance(DIRECTORY_AGE_MS_MAX);
    const before = await first.directory.endpoints(TENANT, await first.directory.version(TENANT));
    assert.ok(before.endpoints.some(({ id }) => id === "ep_b"));
    assert.equal(before.unreadable, undefined);

    // Mended by hand, which raises no version; or removed.
    await harness.commands.run(SET, [rowsKey(harness)], ["ep_b", String(good)]);
    await second.clock.advance(DIRECTORY_AGE_MS_MAX);
    assert.equal((await second.directory.endpoints(TENANT, 0)).unreadable, undefined);
    assert.deepEqual(second.directory.damaged(), [`${TENANT}/no/name`]);
    await harness.commands.run(SET, [rowsKey(harness)], ["ep_b", stored]);
    assert.equal(await second.directory.remove(TENANT, "ep_b"), true);
    assert.equal(await second.directory.find(TENANT, "ep_b"), null);
  });
}

test("a tenant whose endpoints are of another type costs its own, in lists of all tenants too", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  await process.directory.create(sampleEndpoint("ep_a"));
  await process.directory.create(sampleEndpoint("ep_z", { tenant: "other" }));
  await harness.commands.run(WRONG, [rowsKey(harness, "other")], []);
  await using next = await openProcess(harness);
  assert.deepEqual(
    (await next.directory.list({ tenant: null }, 10, null)).rows.map(({ id }) => id),
    ["ep_a"],
  );
  assert.equal((await next.directory.endpoints(TENANT, 0)).endpoints.length, 1);
  await assert.rejects(next.directory.endpoints("other", 0), withCode("store-unavailable"));
});

test("members of the order of endpoints that are none of ours end no list", async () => {
  await using harness = await openDirectoryHarness();
  await using process = await openProcess(harness);
  for (const id of ["ep_a", "ep_b"]) await process.directory.create(sampleEndpoint(id));
  const add: RedisScript = {
    name: "by-hand-4",
    returns: "text",
    lua: "return redis.call('ZADD', KEYS[1], 0, ARGV[1])",
  };
  for (const name of ["directory:order", `directory:order:${TENANT}`]) {
    for (const member of ["", "0", "junk", "zzz", `9${"9".repeat(15)}:x`, "x".repeat(1000), "\0"]) {
      await harness.commands.run(add, [harness.keys.key(0, name)], [member]);
    }
  }
  for (const tenant of [TENANT, null]) {
    const found: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof process.directory.list>> = await process.directory.list(
        { tenant },
        1,
        cursor,
      );
      found.push(...page.rows.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== null);
    assert.deepEqual(found, ["ep_a", "ep_b"]);
  }
});
