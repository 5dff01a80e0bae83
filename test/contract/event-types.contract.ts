/** What every implementation of the port `event-types` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CatalogueType } from "@posthaste/shared/domain/event-types.ts";
import type { OpenHarness } from "./harness.ts";
import { withCode } from "./harness.ts";
import { START_MS } from "../support/samples.ts";

export function sampleType(name: string, parts: Partial<CatalogueType> = {}): CatalogueType {
  return {
    name,
    description: "Ein Umlaut: ä, ein Zeichen: 🂡",
    schemaText: '{"type":"object"}',
    exampleText: "null",
    isDeprecated: true,
    createdAtMs: START_MS,
    updatedAtMs: START_MS + 1,
    ...parts,
  };
}

export function eventTypesContract(name: string, open: OpenHarness): void {
  test(`${name} event types: there are none at first, and that is known`, async () => {
    await using harness = await open();
    assert.equal((await harness.drivers.eventTypes.known())?.types.size, 0);
    assert.equal((await harness.drivers.eventTypes.read()).types.size, 0);
  });

  test(`${name} event types: every field comes back, sorted by name, also after a crash`, async () => {
    await using harness = await open();
    const bare = sampleType("b.one", { description: null, schemaText: null, exampleText: null, isDeprecated: false });
    const types = [sampleType("a.two"), bare, sampleType("c")];
    for (const type of types.toReversed()) await harness.drivers.eventTypes.put(type);
    assert.deepEqual([...(await harness.drivers.eventTypes.read()).types.values()], types);
    await harness.reopen();
    assert.deepEqual([...(await harness.drivers.eventTypes.read()).types.values()], types);
    assert.deepEqual([...((await harness.drivers.eventTypes.known())?.types.keys() ?? [])], ["a.two", "b.one", "c"]);
  });

  test(`${name} event types: who has changed one knows it at once, and the version is another`, async () => {
    await using harness = await open();
    const { eventTypes } = harness.drivers;
    const versions = [(await eventTypes.known())?.version];
    await eventTypes.put(sampleType("a"));
    versions.push((await eventTypes.known())?.version);
    await eventTypes.put(sampleType("a", { description: "again" }));
    const replaced = await eventTypes.known();
    versions.push(replaced?.version);
    assert.deepEqual([...(replaced?.types.values() ?? [])], [sampleType("a", { description: "again" })]);
    assert.equal(await eventTypes.remove("a"), true);
    assert.equal(await eventTypes.remove("a"), false);
    const last = await eventTypes.known();
    assert.equal(last?.types.size, 0);
    versions.push(last.version);
    assert.equal(new Set(versions).size, 4, versions.join());
  });

  test(`${name} event types: changes of one turn are all kept`, async () => {
    await using harness = await open();
    const { eventTypes } = harness.drivers;
    await Promise.all(["a", "b", "c"].map((type) => eventTypes.put(sampleType(type))));
    assert.deepEqual([...(await eventTypes.read()).types.keys()], ["a", "b", "c"]);
  });

  test(`${name} event types: one more than may be is refused, and replacing one is not`, async () => {
    await using harness = await open({ catalogue: { typesMax: 2, bytesMax: 10_000 } });
    const { eventTypes } = harness.drivers;
    await eventTypes.put(sampleType("a"));
    await eventTypes.put(sampleType("b"));
    await assert.rejects(eventTypes.put(sampleType("c")), withCode("limit-reached"));
    await eventTypes.put(sampleType("b", { description: "again" }));
    assert.deepEqual([...(await eventTypes.read()).types.keys()], ["a", "b"]);
    await eventTypes.remove("a");
    await eventTypes.put(sampleType("c"));
    assert.deepEqual([...(await eventTypes.read()).types.keys()], ["b", "c"]);
  });

  test(`${name} event types: more text than may be in all is refused, and what was there stays`, async () => {
    await using harness = await open({ catalogue: { typesMax: 10, bytesMax: 1000 } });
    const { eventTypes } = harness.drivers;
    await eventTypes.put(sampleType("a"));
    const large = sampleType("b", { description: "x".repeat(900) });
    await assert.rejects(eventTypes.put(large), withCode("limit-reached"));
    assert.deepEqual([...(await eventTypes.read()).types.values()], [sampleType("a")]);
  });
}
