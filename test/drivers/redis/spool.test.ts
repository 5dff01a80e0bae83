/** The spool on a real Redis, and on the model of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createRedisSpool } from "@posthaste/shared/drivers/redis/spool/spool.ts";
import type { NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import type { SpooledRecord } from "@posthaste/shared/ports/spool.ts";
import { withCode } from "../../contract/harness.ts";
import { START_MS } from "../../support/samples.ts";
import type { RedisServer } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";

/** What another process took comes back at once, or never within a test. */
const AT_ONCE_MS = 1;
const NEVER_MS = 3600_000;

function recordOf(number: number, parts: Partial<NewRecord> = {}): NewRecord {
  return {
    topic: "medium",
    partition: null,
    key: `evt_${number}`,
    value: Uint8Array.of(10, 0, 255, number),
    headers: { id: `evt_${number}`, note: "grün\n€" },
    timestampMs: START_MS + number,
    ...parts,
  };
}

async function openSpool(server: RedisServer, parts: { shards?: number; bytesMax?: number; heldMs?: number } = {}) {
  const { shards = 1, ...bounds } = parts;
  const harness = await openRedisHarness(() => ({}), { server, shards })();
  const options = {
    commands: harness.commands,
    keys: harness.keys,
    heldMs: NEVER_MS,
    ...bounds,
  };
  return {
    harness,
    spool: createRedisSpool(options),
    /** Of another process. */
    other: createRedisSpool(options),
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

const recordsOf = (taken: readonly SpooledRecord[]): readonly NewRecord[] =>
  taken.flatMap(({ record }) =>
    record === null ? [] : { ...record, value: record.value === null ? null : Uint8Array.from(record.value) },
  );
const EMPTY = { count: 0, bytes: 0, oldestMs: null };

for (const server of ["real", "http", "model"] as const) {
  test(`${server} spool: records come back as they were, oldest first, and are gone once they are removed`, async () => {
    await using opened = await openSpool(server);
    const { spool } = opened;
    const all = [
      recordOf(1),
      recordOf(2, { key: null, value: null, headers: {} }),
      recordOf(3, { partition: 4, value: new Uint8Array(), topic: "retry.5s" }),
    ];
    await spool.append(all.slice(0, 2), "low");
    await spool.append(all.slice(2), "first");
    await opened.harness.clock.advance(5000);
    const taken = await spool.take(100);
    assert.deepEqual(recordsOf(taken), all);
    assert.deepEqual(
      taken.map(({ waitedMs }) => waitedMs),
      [5000, 5000, 5000],
    );
    const depth = await spool.depth();
    assert.deepEqual([depth.count, depth.oldestMs], [3, 5000]);
    assert.ok(depth.bytes > 450, `${depth.bytes} bytes`);
    await spool.remove(taken);
    assert.deepEqual(await spool.depth(), EMPTY);
    assert.deepEqual(await spool.take(100), []);
  });

  test(`${server} spool: what one process took no other gets, until it is given back`, async () => {
    await using opened = await openSpool(server);
    const { spool, other } = opened;
    await spool.append([recordOf(1), recordOf(2), recordOf(3)], "medium");
    const taken = await spool.take(2);
    assert.deepEqual(recordsOf(taken), [recordOf(1), recordOf(2)]);
    assert.deepEqual(recordsOf(await other.take(100)), [recordOf(3)]);
    await spool.giveBack(taken);
    const again = await other.take(100);
    assert.deepEqual(recordsOf(again), [recordOf(1), recordOf(2)]);
    await other.remove(again);
    // The first one hears of its append after all: what is gone already counts nothing a second time.
    await spool.remove(taken);
    await spool.giveBack(taken);
    assert.equal((await spool.depth()).count, 1);
    assert.ok((await spool.depth()).bytes > 150);
  });

  test(`${server} spool: what was taken before Redis was emptied is not missed by a spool that began anew`, async () => {
    await using opened = await openSpool(server);
    const { spool, harness } = opened;
    await spool.append([recordOf(1)], "medium");
    const taken = await spool.take(100);
    const empty: RedisScript = { name: "test-empty", returns: "text", lua: "return redis.call('DEL', unpack(KEYS))" };
    await harness.commands.run(empty, [harness.keys.key(0, "spool"), harness.keys.key(0, "spool:bytes")], []);
    // Ids are made of the time.
    await harness.clock.advance(1000);
    await spool.append([recordOf(2)], "medium");
    await spool.giveBack(taken);
    await spool.remove(taken);
    const left = await spool.take(100);
    assert.deepEqual(recordsOf(left), [recordOf(2)]);
    // As one who finds it begun anew and taken from already.
    await spool.giveBack(taken);
    await spool.remove(left);
    assert.deepEqual(await spool.depth(), EMPTY);
  });

  test(`${server} spool: what a process took and kept for too long goes to another`, async () => {
    await using opened = await openSpool(server, { heldMs: AT_ONCE_MS });
    await opened.spool.append([recordOf(1)], "medium");
    assert.equal((await opened.spool.take(100)).length, 1);
    let again: readonly SpooledRecord[] = [];
    for (let tries = 0; again.length === 0 && tries < 1000; tries++) {
      await opened.harness.clock.advance(AT_ONCE_MS);
      again = await opened.other.take(100);
    }
    assert.deepEqual(recordsOf(again), [recordOf(1)]);
  });

  test(`${server} spool: past its share of the bound a class is refused whole, and the more important ones go on`, async () => {
    await using opened = await openSpool(server, { bytesMax: 4000 });
    const { spool } = opened;
    const large = (number: number) => recordOf(number, { value: new Uint8Array(500) });
    await spool.append([large(1), large(2)], "low");
    await assert.rejects(spool.append([large(3)], "low"), withCode("overloaded"));
    await assert.rejects(spool.append([recordOf(3), large(3)], "attempts"), withCode("overloaded"));
    await spool.append([large(4)], "medium");
    await assert.rejects(spool.append([large(5)], "medium"), withCode("overloaded"));
    await spool.append([large(6)], "first");
    await spool.append([large(9)], "first");
    await assert.rejects(spool.append([large(7)], "first"), withCode("overloaded"));
    const taken = await spool.take(100);
    assert.deepEqual(recordsOf(taken), [large(1), large(2), large(4), large(6), large(9)]);
    await spool.remove(taken);
    await spool.append([large(8)], "low");
  });

  test(`${server} spool: a count that somebody changed begins anew once the spool is empty`, async () => {
    await using opened = await openSpool(server, { bytesMax: 4000 });
    const { spool, harness } = opened;
    const write = (text: string): RedisScript => ({
      name: "test-write",
      returns: "text",
      lua: `return redis.call('SET', KEYS[1], '${text}')`,
    });
    for (const text of ["999999999", "none", "-5"]) {
      await harness.commands.run(write(text), [harness.keys.key(0, "spool:bytes")], []);
      await spool.append([recordOf(1)], "low");
      const taken = await spool.take(100);
      assert.equal(taken.length, 1);
      await spool.remove(taken);
      assert.deepEqual(await spool.depth(), EMPTY, text);
    }
  });

  test(`${server} spool: an entry that is none of ours is told as such, beside the others`, async () => {
    await using opened = await openSpool(server);
    const { spool, harness } = opened;
    await spool.append([recordOf(1)], "medium");
    const strange: RedisScript = {
      name: "test-strange",
      returns: "text",
      lua: "return redis.call('XADD', KEYS[1], '*', 'other', 'x', 'packed', ARGV[1])",
    };
    await harness.commands.run(strange, [harness.keys.key(0, "spool")], ["no record"]);
    await spool.append([recordOf(2)], "medium");
    const taken = await spool.take(100);
    assert.deepEqual(recordsOf(taken), [recordOf(1), recordOf(2)]);
    assert.deepEqual(
      taken.map(({ record, packed }) => (record === null ? new TextDecoder().decode(packed) : null)),
      [null, "no record", null],
    );
    await spool.remove(taken);
    assert.equal((await spool.depth()).count, 0);
  });

  test(`${server} spool: records spread over the shards, and all of them are taken`, async () => {
    await using opened = await openSpool(server, { shards: 3 });
    const all = Array.from({ length: 30 }, (_, number) => recordOf(number));
    await opened.spool.append(all, "medium");
    const taken = [...(await opened.spool.take(7)), ...(await opened.spool.take(100))];
    assert.equal(taken.length, 30);
    assert.deepEqual(new Set(recordsOf(taken).map(({ key }) => key)), new Set(all.map(({ key }) => key)));
    await opened.spool.remove(taken);
    assert.deepEqual(await opened.spool.depth(), EMPTY);
  });

  test(`${server} spool: who watches hears of an append`, async () => {
    await using opened = await openSpool(server);
    let heard = 0;
    const watch = await opened.spool.watch(() => void heard++);
    await opened.harness.clock.settle();
    const before = heard;
    await opened.spool.append([recordOf(1)], "medium");
    await opened.harness.clock.settle();
    assert.ok(heard > before);
    await watch[Symbol.asyncDispose]();
  });
}
