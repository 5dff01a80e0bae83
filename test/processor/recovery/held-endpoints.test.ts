/** Many tenants have something held; each is looked after, whatever becomes of the others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachHeldEndpoint } from "@posthaste/processor/recovery/held-endpoints.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleDeadLetter, sampleEnvelope } from "../../support/samples.ts";

/** A letter of the endpoint `tenant/name`. */
function letterOf(endpointId: string): DeadLetter {
  const [tenant = ""] = endpointId.split("/");
  return {
    ...sampleDeadLetter(`dlv_${endpointId}`, { envelope: sampleEnvelope("evt_1", { tenant }) }),
    tenant,
    endpointId,
  };
}

/** Goes through letters of these endpoints; the work of those in `hanging` ends when they are taken out of it. */
function openStand(endpointIds: readonly string[]) {
  const clock = createManualClock(START_MS);
  const begun: string[] = [];
  const hanging = new Map<string, () => void>();
  const signal = new AbortController();
  return {
    clock,
    begun,
    signal,
    /** The work of it goes on until `end`. */
    hang: (...ids: readonly string[]) => ids.forEach((id) => hanging.set(id, () => undefined)),
    end: (id: string) => hanging.get(id)?.(),
    run: (fails = "", seenMax = 1000) =>
      forEachHeldEndpoint(
        {
          clock,
          seenMax,
          deadLetters: { list: async () => ({ rows: endpointIds.map(letterOf), next: null }) },
          async work(_tenant, endpointId) {
            begun.push(endpointId);
            if (endpointId === fails) throw new Error("no store");
            if (hanging.has(endpointId)) await new Promise<void>((resolve) => hanging.set(endpointId, resolve));
          },
        },
        [
          { tenant: null, state: "paused" },
          { tenant: null, state: "backlog" },
        ],
        signal.signal,
      ),
  };
}

test("a small tenant does not wait until a large one is through, whose endpoints go one after the other", async () => {
  const stand = openStand(["large/a", "large/b", "large/a", "small/a"]);
  stand.hang("large/a");
  const running = stand.run();
  await stand.clock.advance(1);
  assert.deepEqual(stand.begun, ["large/a", "small/a"]);
  stand.end("large/a");
  await stand.clock.advance(1);
  await running;
  assert.deepEqual(stand.begun, ["large/a", "small/a", "large/b"], "once each, whatever it is held as");
});

test("eight tenants at once; the next begins when one has nothing more", async () => {
  const ids = Array.from({ length: 9 }, (_, at) => `tenant-${at}/a`);
  const stand = openStand(ids);
  stand.hang(...ids);
  const running = stand.run();
  await stand.clock.advance(1);
  assert.deepEqual(stand.begun, ids.slice(0, 8));
  stand.end("tenant-5/a");
  await stand.clock.advance(1);
  assert.deepEqual(stand.begun, ids);
  ids.forEach((id) => stand.end(id));
  await stand.clock.advance(1);
  await running;
});

test("a work that fails keeps no other, and is told at the end", async () => {
  const stand = openStand(["first/a", "first/b", "second/a"]);
  const running = assert.rejects(stand.run("first/a"), /no store/);
  await stand.clock.advance(1);
  await running;
  assert.deepEqual(stand.begun.toSorted(), ["first/a", "first/b", "second/a"]);
});

test("beyond the bound of endpoints that are known as done, one seen long ago is looked after once more, and none is left out", async () => {
  const ids = ["a/1", "a/2", "a/3", "a/4", "a/5"];
  const stand = openStand(ids);
  const running = stand.run("", 2);
  await stand.clock.advance(1);
  await running;
  assert.deepEqual(new Set(stand.begun), new Set(ids));
  assert.ok(stand.begun.length > ids.length, stand.begun.join());
  assert.ok(stand.begun.length <= 2 * ids.length, "once in each pass at most");
});

test("after a stop no further work begins", async () => {
  const stand = openStand(["large/a", "large/b"]);
  stand.hang("large/a");
  const running = stand.run();
  await stand.clock.advance(1);
  stand.signal.abort();
  stand.end("large/a");
  await stand.clock.advance(1);
  await running;
  assert.deepEqual(stand.begun, ["large/a"]);
});
