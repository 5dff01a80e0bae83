/** What every implementation of the port `tail` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Heard, TailEntry } from "@posthaste/shared/ports/tail.ts";
import { acceptedEntry, deliveryEntry } from "@posthaste/shared/ports/tail.ts";
import type { OpenHarness } from "./harness.ts";
import { sampleEnvelope, sampleRecord, TENANT } from "../support/samples.ts";

/** Longer than any set goes on taking a watcher for there. */
const LONG_MS = 20_000;

const ENVELOPE = sampleEnvelope("evt_a");
const ENTRIES: readonly TailEntry[] = [
  acceptedEntry(ENVELOPE),
  deliveryEntry(sampleRecord(ENVELOPE), "medium"),
  deliveryEntry(sampleRecord(ENVELOPE, { result: null, state: "paused", reason: "the endpoint is paused" }), "medium"),
];

export function tailContract(name: string, open: OpenHarness): void {
  test(`${name} tail: a tenant is watched while somebody watches it, or all, and not for long after`, async () => {
    await using harness = await open();
    const { tail } = harness.drivers;
    const watched = async (): Promise<readonly boolean[]> => {
      await harness.clock.settle();
      return [TENANT, "other"].map((tenant) => tail.isWatched(tenant));
    };
    assert.deepEqual(await watched(), [false, false]);
    const end = tail.watch(new Set([TENANT]), () => undefined);
    assert.deepEqual(await watched(), [true, false]);
    await harness.clock.advance(LONG_MS);
    assert.deepEqual(await watched(), [true, false]);
    const endAll = tail.watch(null, () => undefined);
    assert.deepEqual(await watched(), [true, true]);
    endAll();
    await harness.clock.advance(LONG_MS);
    assert.deepEqual(await watched(), [true, false]);
    end();
    await harness.clock.advance(LONG_MS);
    assert.deepEqual(await watched(), [false, false]);
  });

  test(`${name} tail: every watcher hears whole entries, in order`, async () => {
    await using harness = await open();
    const { tail } = harness.drivers;
    const heard: TailEntry[][] = [[], []];
    for (const own of heard) tail.watch(new Set([TENANT]), ({ entries }) => void own.push(...entries));
    await harness.clock.settle();
    tail.publish(ENTRIES.slice(0, 1));
    tail.publish(ENTRIES.slice(1));
    await harness.clock.settle();
    assert.deepEqual(heard, [ENTRIES, ENTRIES]);
  });

  test(`${name} tail: nothing is lost of what comes within the bounds`, async () => {
    await using harness = await open();
    const { tail } = harness.drivers;
    const heard: Heard[] = [];
    tail.watch(null, (one) => void heard.push(one));
    await harness.clock.settle();
    for (let nth = 0; nth < 300; nth++) tail.publish([acceptedEntry(sampleEnvelope(`evt_${nth}`))]);
    await harness.clock.settle();
    assert.deepEqual(
      heard.flatMap(({ entries }) => entries.map(({ eventId }) => eventId)),
      Array.from({ length: 300 }, (_, nth) => `evt_${nth}`),
    );
    assert.ok(heard.every(({ lost }) => lost === 0));
  });

  test(`${name} tail: an ended watch hears nothing more, the others do`, async () => {
    await using harness = await open();
    const { tail } = harness.drivers;
    const heard: string[] = [];
    const end = tail.watch(null, () => void heard.push("first"));
    tail.watch(null, () => void heard.push("second"));
    end();
    end();
    await harness.clock.settle();
    tail.publish(ENTRIES.slice(0, 1));
    await harness.clock.settle();
    assert.deepEqual(heard, ["second"]);
  });

  test(`${name} tail: a listener that throws goes on hearing and harms no other`, async () => {
    await using harness = await open();
    const { tail } = harness.drivers;
    let thrown = 0;
    const heard: string[] = [];
    tail.watch(null, () => {
      thrown++;
      throw new Error("a listener's own fault");
    });
    tail.watch(null, ({ entries }) => void heard.push(...entries.map(({ kind }) => kind)));
    await harness.clock.settle();
    tail.publish(ENTRIES.slice(0, 1));
    await harness.clock.settle();
    tail.publish(ENTRIES.slice(1, 2));
    await harness.clock.settle();
    assert.deepEqual([thrown, heard], [2, ["accepted", "delivery"]]);
  });

  test(`${name} tail: publishing to nobody is no error`, async () => {
    await using harness = await open();
    harness.drivers.tail.publish(ENTRIES);
    await harness.clock.settle();
  });
}
