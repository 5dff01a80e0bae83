/** The relay writes first and removes then; what it cannot write it gives back, what the log refuses it puts aside. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { createSpoolRelay } from "@posthaste/shared/drivers/distributed/spool-relay.ts";
import type { PoisonRecord } from "@posthaste/shared/drivers/partitioned/window/quarantine.ts";
import { createRedisSpool } from "@posthaste/shared/drivers/redis/spool/spool.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { createModelCommands, directLink } from "../../support/redis-model/model-commands.ts";
import { createRedisModel } from "../../support/redis-model/redis-model.ts";
import { START_MS } from "../../support/samples.ts";

const recordOf = (key: string): NewRecord => {
  return { topic: "medium", partition: null, key, value: Uint8Array.of(1), headers: { id: key }, timestampMs: 0 };
};

/** A relay on a spool in the model of Redis; `faultOf` says what the log answers for a record. */
function openRelay() {
  const clock = createManualClock(START_MS);
  const model = createRedisModel(() => clock.now());
  const commands = createModelCommands({ model, link: directLink, clock });
  const keys = createKeySpace({ shards: 1 });
  const spool = createRedisSpool({ commands, keys });
  const state: { faultOf: (key: string) => Error | "open" | null } = { faultOf: () => null };
  const written: (readonly [string, number])[] = [];
  const poison: PoisonRecord[] = [];
  const faults: unknown[] = [];
  const relay = createSpoolRelay({
    spool,
    producer: {
      append([record]) {
        const key = record?.key ?? "";
        const fault = state.faultOf(key);
        if (fault === "open") return new Promise(() => undefined);
        if (fault !== null) return Promise.reject(fault);
        written.push([key, record?.timestampMs ?? 0]);
        return Promise.resolve();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    clock,
    entropy: systemEntropy,
    afterWait: (record, waitedMs) => ({ ...record, timestampMs: waitedMs }),
    onPoison: (record) => Promise.resolve(void poison.push(record)),
    onFault: (error) => void faults.push(error),
  });
  return { clock, commands, keys, spool, state, written, poison, faults, relay };
}

test("what is spooled is written at once, with what it has waited, and is gone", async () => {
  const { clock, spool, relay, written } = openRelay();
  await spool.append([recordOf("before")], "medium");
  await clock.advance(7000);
  relay.start();
  await clock.settle();
  await spool.append([recordOf("after")], "low");
  await clock.settle();
  assert.deepEqual(written, [
    ["before", 7000],
    ["after", 0],
  ]);
  assert.equal((await spool.depth()).count, 0);
  await relay[Symbol.asyncDispose]();
});

test("while the log is away nothing is removed, and all of it is written when it is back", async () => {
  const { clock, spool, state, relay, written, faults } = openRelay();
  state.faultOf = () => new PosthasteError("store-unavailable", "The log is away.");
  await spool.append(["a", "b", "c"].map(recordOf), "medium");
  relay.start();
  await clock.advance(60_000);
  assert.equal(written.length, 0);
  assert.equal((await spool.depth()).count, 3);
  assert.ok(faults.length >= 20 && faults.length < 100, `${faults.length} rounds`);
  state.faultOf = () => null;
  await clock.advance(5000);
  assert.deepEqual(
    written.map(([key]) => key),
    ["a", "b", "c"],
  );
  assert.equal((await spool.depth()).count, 0);
  await relay[Symbol.asyncDispose]();
});

test("of a round that failed in part only the rest is written again", async () => {
  const { clock, spool, state, relay, written } = openRelay();
  let isWell = false;
  state.faultOf = (key) => (key === "b" && !isWell ? new PosthasteError("store-unavailable", "Not this one.") : null);
  await spool.append(["a", "b", "c"].map(recordOf), "medium");
  relay.start();
  await clock.advance(10_000);
  assert.equal((await spool.depth()).count, 1);
  isWell = true;
  await clock.advance(5000);
  assert.deepEqual(
    written.map(([key]) => key),
    ["a", "c", "b"],
  );
  await relay[Symbol.asyncDispose]();
});

test("what the log refuses for good, and what is no record, is put aside and holds up nothing", async () => {
  const { clock, commands, keys, spool, state, relay, written, poison } = openRelay();
  state.faultOf = (key) => (key === "large" ? new PosthasteError("limit-reached", "Too large.") : null);
  await spool.append(["a", "large"].map(recordOf), "medium");
  const lua = "return redis.call('XADD', KEYS[1], '*', 'at', '0', 'packed', 'strange')";
  await commands.run({ name: "test-strange", returns: "text", lua }, [keys.key(0, "spool")], []);
  await spool.append([recordOf("z")], "medium");
  relay.start();
  await clock.settle();
  assert.deepEqual(
    written.map(([key]) => key),
    ["a", "z"],
  );
  assert.deepEqual(
    new Map(poison.map(({ topic, reason }) => [topic, reason])),
    new Map([
      ["medium", "Kafka refuses it for the topic medium"],
      ["redis.spool", "the entry of the spool is no record of ours"],
    ]),
  );
  assert.equal((await spool.depth()).count, 0);
  await relay[Symbol.asyncDispose]();
});

test("what a relay held when its process died is written by another one", async () => {
  const { clock, spool, state, relay, written } = openRelay();
  state.faultOf = () => "open";
  await spool.append([recordOf("a")], "medium");
  relay.start();
  await clock.settle();
  state.faultOf = () => null;
  // Nobody hears of the first one any more; the second looks again while something is held.
  const other = createSpoolRelay({
    spool,
    producer: {
      append: ([record]) => Promise.resolve(void written.push([record?.key ?? "", 0])),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    clock,
    entropy: systemEntropy,
    afterWait: (record) => record,
    onPoison: () => Promise.resolve(),
    onFault: () => undefined,
  });
  other.start();
  await clock.advance(14_000);
  assert.equal(written.length, 0);
  await clock.advance(3000);
  assert.deepEqual(
    written.map(([key]) => key),
    ["a"],
  );
  assert.equal((await spool.depth()).count, 0);
  await other[Symbol.asyncDispose]();
});
