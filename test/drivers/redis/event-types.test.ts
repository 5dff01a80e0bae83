/** The catalogue of event types in Redis: how soon one gateway knows what another has changed, and a Redis that is away or emptied. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CATALOGUE_TRUSTED_AT_EDGE_MS,
  CATALOGUE_TRUSTED_MS,
  createRedisEventTypes,
  newCatalogueMemory,
  openRedisEventTypes,
  readCatalogueAtStart,
} from "@posthaste/shared/drivers/redis/event-types/event-types.ts";
import { createRedisNotifier } from "@posthaste/shared/drivers/redis/notifier.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { EventTypes } from "@posthaste/shared/ports/event-types.ts";
import type { Notifier } from "@posthaste/shared/ports/notifier.ts";
import { eventTypesContract, sampleType } from "../../contract/event-types.contract.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS } from "../../support/samples.ts";
import type { RedisHarness } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import { createSwitchedCommands } from "./switch.ts";

const silent: Pick<Notifier, "subscribe"> = { subscribe: () => () => undefined };
const open = openRedisHarness(async ({ commands, keys, clock, bounds, onFault }) => ({
  eventTypes: openRedisEventTypes({
    commands,
    keys,
    clock,
    onFault,
    notifier: silent,
    bounds: bounds.catalogue,
  }),
}));

eventTypesContract("redis", open);

/** A gateway of its own on the harness's Redis. */
async function openProcess(harness: RedisHarness, notifier: Pick<Notifier, "subscribe"> = silent) {
  const clock = createManualClock(START_MS);
  const line = createSwitchedCommands(harness.commands);
  const faults: unknown[] = [];
  const onFault = (error: unknown): void => void faults.push(error);
  const eventTypes = openRedisEventTypes({
    commands: line.commands,
    keys: harness.keys,
    clock,
    notifier,
    onFault,
  });
  return { ...line, clock, eventTypes, faults, onFault };
}

/** A command of somebody else's on one key. */
const WRITE = {
  name: "test-write",
  returns: "text",
  lua: "redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))",
} as const;

const namesOf = async (eventTypes: EventTypes): Promise<string[]> => [
  ...((await eventTypes.known())?.types.keys() ?? []),
];

test("a change by one gateway is known by another within 5 s, and nothing is asked before", async () => {
  await using harness = await open();
  const [first, second] = [await openProcess(harness), await openProcess(harness)];
  assert.deepEqual(second.scripts, [], "nothing is asked by the opening");
  await second.eventTypes.read();
  await first.eventTypes.put(sampleType("a"));
  await second.clock.advance(CATALOGUE_TRUSTED_MS - 1);
  assert.equal(second.eventTypes.known() instanceof Promise, false, "from memory");
  assert.deepEqual(await namesOf(second.eventTypes), [], "trusted until then");
  await second.clock.advance(1);
  assert.deepEqual(await namesOf(second.eventTypes), ["a"]);
  assert.deepEqual(second.scripts, ["event-types-read", "event-types-read"]);
});

test("one that hears of the change knows it with its next event", async () => {
  await using harness = await open();
  const notifying = { commands: harness.commands, keys: harness.keys, entropy: systemEntropy, onFault: assert.ifError };
  await using notifier = createRedisNotifier(notifying);
  const [first, second] = [await openProcess(harness), await openProcess(harness, notifier)];
  const heard = new Promise<void>((resolve) => {
    notifier.subscribe(({ kind }) => {
      if (kind === "event-types-changed") resolve();
    });
  });
  // The subscription stands by the time that its own word comes back.
  await first.eventTypes.put(sampleType("before"));
  while ((await namesOf(second.eventTypes)).length === 0) {
    await first.eventTypes.put(sampleType("before"));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await heard;
  assert.deepEqual(await namesOf(second.eventTypes), ["before"], "its clock stands still: it was told");
});

test("many events that find the catalogue too old ask for it once, by its version", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await process.eventTypes.read();
  await process.clock.advance(CATALOGUE_TRUSTED_MS);
  const answers = await Promise.all(Array.from({ length: 100 }, async () => await process.eventTypes.known()));
  assert.equal(new Set(answers).size, 1, "what has not changed is the same object");
  assert.equal(process.scripts.length, 2);
});

test("while Redis is away the last catalogue holds, and Redis is asked once a second at most", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await process.eventTypes.put(sampleType("a"));
  await process.clock.advance(CATALOGUE_TRUSTED_MS);
  process.setAway(true);
  const before = process.scripts.length;
  for (let count = 0; count < 10; count++) assert.deepEqual(await namesOf(process.eventTypes), ["a"]);
  assert.equal(process.scripts.length, before + 1);
  await assert.rejects(process.eventTypes.read());
  process.setAway(false);
  await (await openProcess(harness)).eventTypes.remove("a");
  await process.clock.advance(1000);
  assert.deepEqual(await namesOf(process.eventTypes), []);
});

const TYPE = { ...sampleType("bad"), name: "bad" };
for (const [what, record] of [
  ["a schema that is no JSON", { ...TYPE, schemaText: "{not" }],
  ["a schema that is none", { ...TYPE, schemaText: '"text"' }],
  ["an example that is no JSON", { ...TYPE, exampleText: "" }],
  ["an example deeper than any event", { ...TYPE, exampleText: "[".repeat(9000) + "]".repeat(9000) }],
] as const) {
  test(`a record with ${what} is told and left out, and put anew`, async () => {
    await using harness = await open();
    const process = await openProcess(harness);
    await process.eventTypes.put(sampleType("a"));
    await harness.commands.run(WRITE, [harness.keys.key(0, "eventTypes")], ["HSET", "bad", JSON.stringify(record)]);
    const other = await openProcess(harness);
    assert.deepEqual(await namesOf(other.eventTypes), ["a"]);
    assert.match(String(other.faults), /event type bad in Redis is not one of ours/);
    await other.eventTypes.put(TYPE);
    assert.deepEqual(await namesOf(other.eventTypes), ["a", "bad"]);
  });
}

test("a catalogue of the wrong type is told by its keys and keeps no gateway from its start, nor from events", async () => {
  await using harness = await open();
  const key = harness.keys.key(0, "eventTypes");
  await harness.commands.run(WRITE, [key], ["SET", "text"]);
  const process = await openProcess(harness);
  await readCatalogueAtStart(process.eventTypes, process.onFault);
  assert.equal(await process.eventTypes.known(), null);
  for (const fault of process.faults)
    assert.match(String(fault), /catalogue of event types in Redis \(\S+eventTypes:version, \S+eventTypes\)/);
  assert.equal(process.faults.length, 2);
  await assert.rejects(process.eventTypes.put(sampleType("a")), /does not read back/);
  await harness.commands.run(WRITE, [key], ["DEL"]);
  await process.clock.advance(1000);
  assert.deepEqual(await namesOf(process.eventTypes), []);
});

test("a Redis that was emptied is given back what a gateway knows, also before a change", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  for (const name of ["a", "b"]) await process.eventTypes.put(sampleType(name));
  const empty = () =>
    harness.commands.run(
      { name: "test-empty", returns: "text", lua: "redis.call('DEL', unpack(KEYS))" },
      [harness.keys.key(0, "eventTypes"), harness.keys.key(0, "eventTypes:version")],
      [],
    );
  await empty();
  await process.clock.advance(CATALOGUE_TRUSTED_MS);
  assert.deepEqual(await namesOf(process.eventTypes), ["a", "b"]);
  assert.deepEqual(await namesOf((await openProcess(harness)).eventTypes), ["a", "b"]);
  assert.equal(process.faults.length, 1);
  await empty();
  await process.eventTypes.put(sampleType("c"));
  assert.deepEqual(await namesOf((await openProcess(harness)).eventTypes), ["a", "b", "c"]);
});

test("a record that is none of ours costs itself", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await process.eventTypes.put(sampleType("a"));
  const key = harness.keys.key(0, "eventTypes");
  const spoil = {
    name: "test-spoil",
    returns: "text",
    lua: "redis.call('HSET', KEYS[1], 'odd', '{}', 'torn', '{')",
  } as const;
  await harness.commands.run(spoil, [key], []);
  const other = await openProcess(harness);
  assert.deepEqual(await namesOf(other.eventTypes), ["a"]);
  assert.equal(other.faults.length, 2);
});

test("at the edge it is trusted for half a minute, and unknown while Redis never answered", async () => {
  await using harness = await open();
  await (await openProcess(harness)).eventTypes.put(sampleType("a"));
  const clock = createManualClock(START_MS);
  const line = createSwitchedCommands(harness.commands);
  const memory = newCatalogueMemory();
  const ofRequest = (): EventTypes =>
    createRedisEventTypes({
      commands: line.commands,
      keys: harness.keys,
      clock,
      memory,
      trustedMs: CATALOGUE_TRUSTED_AT_EDGE_MS,
      writesBack: false,
      onFault: assert.ifError,
    }).types;
  line.setAway(true);
  assert.equal(await ofRequest().known(), null);
  line.setAway(false);
  await clock.advance(1000);
  assert.deepEqual(await namesOf(ofRequest()), ["a"]);
  const asked = line.scripts.length;
  await clock.advance(CATALOGUE_TRUSTED_AT_EDGE_MS - 1);
  assert.deepEqual(await namesOf(ofRequest()), ["a"]);
  assert.equal(line.scripts.length, asked);
  await clock.advance(1);
  await namesOf(ofRequest());
  assert.equal(line.scripts.length, asked + 1);
});
