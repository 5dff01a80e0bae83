/** Reads take turns: so many at once, tenants in turn, and half of the time for everything else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createReadTurns, PAUSE_MS_MAX } from "@posthaste/gateway/request/read-turns.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { START_MS } from "../support/samples.ts";

/** Reads that end when they are told to; `begun` has their names in the order of beginning. */
function openReads(atOnceMax: number) {
  const clock = createManualClock(START_MS);
  const turns = createReadTurns(atOnceMax, clock);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    clock,
    begun,
    read(name: string, tenant: string): Promise<string> {
      return turns.run(tenant, async () => {
        begun.push(name);
        await new Promise<void>((resolve) => void ends.set(name, resolve));
        return name;
      });
    },
    async end(name: string): Promise<void> {
      ends.get(name)?.();
      await clock.settle();
    },
    turns,
  };
}

test("a tenant with one read waits for one read of a tenant with many", async () => {
  const { begun, read, end, clock } = openReads(1);
  for (let index = 0; index < 50; index++) void read(`big ${index}`, "big");
  await clock.settle();
  void read("small", "small");
  await end("big 0");
  await end("big 1");
  assert.deepEqual(begun.slice(0, 3), ["big 0", "big 1", "small"]);
});

test("reads that are many run so many at once", async () => {
  const { begun, read, end, clock } = openReads(2);
  for (const name of ["a", "b", "c"]) void read(name, name);
  await clock.settle();
  assert.deepEqual(begun, ["a", "b"]);
  await end("b");
  assert.deepEqual(begun, ["a", "b", "c"]);
});

test("a read is answered at once, and the next one begins after as long a pause as it took", async () => {
  const { begun, read, end, clock } = openReads(1);
  const first = read("first", "acme");
  void read("second", "acme");
  await clock.advance(7);
  await end("first");
  assert.equal(await first, "first");
  await clock.advance(6);
  assert.deepEqual(begun, ["first"]);
  await clock.advance(1);
  assert.deepEqual(begun, ["first", "second"]);
});

test("the pause behind a read that waited long for its store is short", async () => {
  const { begun, read, end, clock } = openReads(1);
  void read("first", "acme");
  void read("second", "acme");
  await clock.advance(5000);
  await end("first");
  await clock.advance(PAUSE_MS_MAX);
  assert.deepEqual(begun, ["first", "second"]);
});

test("a read that fails rejects, and its turn goes on", async () => {
  const { turns } = openReads(1);
  await assert.rejects(
    turns.run("acme", () => Promise.reject(new Error("no store"))),
    /no store/,
  );
  assert.equal(await turns.run("acme", () => Promise.resolve("next")), "next");
});
