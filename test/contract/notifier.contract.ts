/** What every implementation of the port `notifier` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Announcement } from "@posthaste/shared/ports/notifier.ts";
import type { OpenHarness } from "./harness.ts";
import { TENANT } from "../support/samples.ts";

const announcement = (endpointId: string): Announcement => ({ kind: "directory-changed", tenant: TENANT, endpointId });

const nameOf = (heard: Announcement): string => (heard.kind === "directory-changed" ? heard.endpointId : heard.kind);

export function notifierContract(name: string, open: OpenHarness): void {
  test(`${name} notifier: every listener hears every announcement once, in order`, async () => {
    await using harness = await open();
    const heard: string[] = [];
    harness.drivers.notifier.subscribe((one) => void heard.push(`first ${nameOf(one)}`));
    harness.drivers.notifier.subscribe((one) => void heard.push(`second ${nameOf(one)}`));
    harness.drivers.notifier.publish(announcement("ep_a"));
    harness.drivers.notifier.publish(announcement("ep_b"));
    await harness.clock.settle();
    assert.deepEqual(heard.toSorted(), ["first ep_a", "first ep_b", "second ep_a", "second ep_b"]);
    assert.ok(heard.indexOf("first ep_a") < heard.indexOf("first ep_b"));
  });

  test(`${name} notifier: publishing to nobody is no error, and who comes later hears nothing of it`, async () => {
    await using harness = await open();
    const heard: Announcement[] = [];
    harness.drivers.notifier.publish(announcement("ep_a"));
    await harness.clock.settle();
    harness.drivers.notifier.subscribe((heardOne) => void heard.push(heardOne));
    await harness.clock.settle();
    assert.deepEqual(heard, []);
  });

  test(`${name} notifier: an ended subscription hears nothing more, the others do`, async () => {
    await using harness = await open();
    const heard: string[] = [];
    const listener = (): void => void heard.push("same function");
    const end = harness.drivers.notifier.subscribe(listener);
    harness.drivers.notifier.subscribe(listener);
    end();
    end();
    harness.drivers.notifier.publish(announcement("ep_a"));
    await harness.clock.settle();
    assert.deepEqual(heard, ["same function"]);
  });

  test(`${name} notifier: a listener that throws keeps its subscription and harms no other`, async () => {
    await using harness = await open();
    let thrown = 0;
    const heard: string[] = [];
    harness.drivers.notifier.subscribe(() => {
      thrown++;
      throw new Error("a listener's own fault");
    });
    harness.drivers.notifier.subscribe((one) => void heard.push(nameOf(one)));
    harness.drivers.notifier.publish(announcement("ep_a"));
    harness.drivers.notifier.publish(announcement("ep_b"));
    await harness.clock.settle();
    assert.deepEqual([thrown, heard], [2, ["ep_a", "ep_b"]]);
  });
}
