/** The tail over Redis: several processes, a Redis that hangs or was away, and what another release may send. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import type { RedisTailOptions } from "@posthaste/shared/drivers/redis/tail.ts";
import { LAPSE_MS, openRedisTail, TAIL_WAITING_MAX } from "@posthaste/shared/drivers/redis/tail.ts";
import type { Heard, Tail, TailEntry } from "@posthaste/shared/ports/tail.ts";
import { acceptedEntry } from "@posthaste/shared/ports/tail.ts";
import { tailContract } from "../../contract/tail.contract.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { sampleEnvelope, sampleEnvelopes, START_MS, TENANT } from "../../support/samples.ts";
import { openRedisHarness } from "./harness.ts";

tailContract(
  "redis",
  openRedisHarness(({ commands, keys, clock, onFault }) => {
    const tail = openRedisTail({ commands, keys, clock, onFault });
    return { tail, dispose: async () => await tail[Symbol.asyncDispose]() };
  }),
);

type Commands = RedisTailOptions["commands"];

/** Pub/sub in memory; `publish` may be put in its place, and `reconnect` says that the line was lost and is back. */
function openBus() {
  const listeners = new Map<string, Set<(message: string) => void>>();
  const connected = new Set<() => void>();
  const published: string[] = [];
  const line = { publish: (_message: string): Promise<void> => Promise.resolve() };
  const commands: Commands = {
    async publish(channel, message) {
      published.push(message);
      await line.publish(message);
      for (const listener of listeners.get(channel) ?? []) listener(message);
    },
    subscribe(channel, listener, told) {
      const heard = listeners.get(channel) ?? new Set();
      listeners.set(channel, heard.add(listener));
      connected.add(told);
      told();
      return Promise.resolve({
        [Symbol.asyncDispose]: () => {
          heard.delete(listener);
          connected.delete(told);
          return Promise.resolve();
        },
      });
    },
  };
  return { commands, line, published, listeners, reconnect: () => connected.forEach((told) => told()) };
}

function openProcesses(count: number) {
  const clock = createManualClock(START_MS);
  const bus = openBus();
  const faults: unknown[] = [];
  const tails = Array.from({ length: count }, () =>
    openRedisTail({
      commands: bus.commands,
      keys: createKeySpace({ shards: 1 }),
      clock,
      onFault: (error) => void faults.push(error),
    }),
  );
  return { clock, bus, faults, tails };
}

const first = <Item>(items: readonly Item[]): Item => {
  const [item] = items;
  assert.ok(item !== undefined);
  return item;
};
const accepted = (id: string): TailEntry => acceptedEntry(sampleEnvelope(id));
const idsOf = (heard: readonly Heard[]): readonly string[] =>
  heard.flatMap(({ entries }) => entries.map(({ eventId }) => eventId));

test("redis tail: a watcher hears what other processes publish, and they know of it as long as it lives", async () => {
  const { clock, bus, tails } = openProcesses(2);
  const [watching, publishing] = tails as [Tail & AsyncDisposable, Tail];
  const heard: Heard[] = [];
  watching.watch(new Set([TENANT]), (one) => void heard.push(one));
  await clock.settle();
  assert.deepEqual([publishing.isWatched(TENANT), publishing.isWatched("other")], [true, false]);
  publishing.publish([accepted("evt_a")]);
  await clock.settle();
  assert.deepEqual(idsOf(heard), ["evt_a"]);
  await clock.advance(10 * LAPSE_MS);
  assert.equal(publishing.isWatched(TENANT), true);
  // It dies without a word.
  bus.line.publish = () => Promise.reject(new Error("gone"));
  await clock.advance(LAPSE_MS);
  assert.equal(publishing.isWatched(TENANT), false);
});

test("redis tail: nothing is asked of Redis while nobody watches", async () => {
  const { clock, bus, tails } = openProcesses(2);
  const end = first(tails).watch(null, () => undefined);
  await clock.advance(LAPSE_MS);
  end();
  await clock.settle();
  const before = bus.published.length;
  await clock.advance(100 * LAPSE_MS);
  assert.equal(bus.published.length, before);
});

test("redis tail: while Redis hangs a bounded number waits, the rest is lost, and the next message says how many", async () => {
  const { clock, bus, tails } = openProcesses(1);
  const tail = first(tails);
  const heard: Heard[] = [];
  tail.watch(null, (one) => void heard.push(one));
  await clock.settle();
  const hanging = Promise.withResolvers<void>();
  bus.line.publish = () => hanging.promise;
  tail.publish([accepted("evt_under_way")]);
  await clock.settle();
  tail.publish(sampleEnvelopes(TAIL_WAITING_MAX + 5).map(acceptedEntry));
  for (let nth = 0; nth < 2; nth++) tail.publish([accepted("evt_beyond")]);
  await clock.settle();
  assert.equal(heard.length, 0);
  bus.line.publish = () => Promise.resolve();
  hanging.reject(new Error("no answer"));
  await clock.settle();
  // The one under way is lost as well: nobody knows whether Redis took it.
  assert.equal(idsOf(heard).length, TAIL_WAITING_MAX);
  assert.equal(
    heard.reduce((sum, { lost }) => sum + (lost ?? 0), 0),
    5 + 2 + 1,
  );
  tail.publish([accepted("evt_after")]);
  await clock.settle();
  assert.deepEqual([idsOf(heard).at(-1), heard.at(-1)?.lost], ["evt_after", 0]);
});

test("redis tail: after a reconnection a watcher hears that some may have been lost, and says again what it wants", async () => {
  const { clock, bus, tails } = openProcesses(1);
  const heard: Heard[] = [];
  first(tails).watch(new Set([TENANT]), (one) => void heard.push(one));
  await clock.settle();
  const before = bus.published.length;
  bus.reconnect();
  await clock.settle();
  assert.deepEqual(heard, [{ entries: [], lost: null }]);
  assert.equal(bus.published.at(-1), JSON.stringify([TENANT]));
  assert.ok(bus.published.length > before);
});

test("redis tail: kinds of a later release are left out; what is no part of it is told, and harms nothing", async () => {
  const { clock, bus, faults, tails } = openProcesses(1);
  const heard: Heard[] = [];
  first(tails).watch(null, (one) => void heard.push(one));
  await clock.settle();
  const entries = [{ ...accepted("evt_b"), kind: "of-later" }, null, { kind: "accepted" }, accepted("evt_a")];
  await bus.commands.publish("tail", JSON.stringify({ entries, lost: 0, ofLater: 1 }));
  assert.deepEqual([idsOf(heard), faults.length], [["evt_a"], 0]);
  for (const message of ["nonsense", "{}", "null", '{"entries":1,"lost":0}'])
    await bus.commands.publish("tail", message);
  for (const message of ["nonsense", "{}", "[1]"]) await bus.commands.publish("tail-wanted", message);
  assert.deepEqual([idsOf(heard).length, faults.length], [1, 7]);
});

test("redis tail: nothing is subscribed any more once it is disposed", async () => {
  const { clock, bus, tails } = openProcesses(1);
  const tail = first(tails);
  tail.watch(null, () => undefined);
  await clock.settle();
  await tail[Symbol.asyncDispose]();
  assert.deepEqual(
    [...bus.listeners.values()].map(({ size }) => size),
    [0, 0],
  );
  await clock.advance(LAPSE_MS);
});
