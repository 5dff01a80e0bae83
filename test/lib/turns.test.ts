import assert from "node:assert/strict";
import { test } from "node:test";
import { createTurns } from "@posthaste/shared/lib/turns.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

const clock = createManualClock(0);

test("so much runs at once as may, and those who wait get their turns by tenant", async () => {
  let most = 2;
  const turns = createTurns(() => most);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (tenant: string, name: string) =>
    turns.run(tenant, () => {
      begun.push(name);
      return new Promise<void>((resolve) => void ends.set(name, resolve));
    });
  const all = [run("a", "a1"), run("a", "a2"), run("a", "a3"), run("a", "a4"), run("b", "b1")];
  await clock.settle();
  assert.deepEqual(begun, ["a1", "a2"]);
  ends.get("a1")?.();
  await clock.settle();
  ends.get("a2")?.();
  await clock.settle();
  assert.deepEqual(begun, ["a1", "a2", "a3", "b1"]);
  most = 1;
  ends.get("a3")?.();
  await clock.settle();
  assert.equal(begun.length, 4);
  ends.get("b1")?.();
  await clock.settle();
  assert.equal(begun.at(-1), "a4");
  ends.get("a4")?.();
  await Promise.all(all);
});

test("work that fails ends its turn", async () => {
  const turns = createTurns(() => 1);
  await assert.rejects(
    turns.run("a", () => Promise.reject(new Error("no store"))),
    /no store/,
  );
  assert.equal(await turns.run("a", () => Promise.resolve(7)), 7);
});
