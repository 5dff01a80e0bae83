/** Work on bodies: so much in a turn of the event loop, tenants in turn, and a pause where a single piece took long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorkTurns, LONG_TURN_MS, PAUSE_MS_MAX, TURN_MS } from "@posthaste/gateway/request/work-turns.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";

/** Time passes by the work alone; `endTurn` and `passPause` are the event loop's. */
function openTurns() {
  let nowMs = 0;
  let soon: (() => void)[] = [];
  let timers: { ms: number; callback: () => void }[] = [];
  const turns = createWorkTurns({
    monotonic: () => nowMs,
    soon: (callback) => void soon.push(callback),
    timer(ms, callback) {
      timers.push({ ms, callback });
      return () => undefined;
    },
  });
  const done: string[] = [];
  return {
    done,
    work(tenant: string, tookMs: number): Promise<string> {
      return turns.run(tenant, () => {
        nowMs += tookMs;
        done.push(tenant);
        return tenant;
      });
    },
    fail: (tenant: string) => turns.run(tenant, () => Promise.reject(new Error("broken"))),
    endTurn(): void {
      const callbacks = soon;
      soon = [];
      for (const callback of callbacks) callback();
    },
    passPause(): number {
      const [timer] = timers;
      assert.ok(timer !== undefined);
      timers = [];
      timer.callback();
      return timer.ms;
    },
    pauses: () => timers.length,
    pass(ms: number): void {
      nowMs += ms;
    },
  };
}

test("what a turn has time for is done at once, and the rest in the turns that follow", async () => {
  const { done, work, endTurn } = openTurns();
  const all = Array.from({ length: 12 }, () => work("acme", 1));
  assert.equal(done.length, TURN_MS.alone);
  endTurn();
  assert.equal(done.length, 2 * TURN_MS.alone);
  endTurn();
  assert.equal(done.length, 12);
  assert.equal((await Promise.all(all)).length, 12);
});

test("a turn is shorter while tenants are beside each other, and for one that is alone again as long as before", () => {
  const { done, work, endTurn, pass } = openTurns();
  void work("small", 0);
  for (let index = 0; index < 20; index += 1) void work("acme", 1);
  assert.equal(done.length, 1 + TURN_MS.beside);
  endTurn();
  assert.equal(done.length, 1 + 2 * TURN_MS.beside);
  pass(1000);
  endTurn();
  assert.equal(done.length, 1 + 2 * TURN_MS.beside + TURN_MS.alone);
});

test("a tenant with one body waits for one body of a tenant with many", () => {
  const { done, work, endTurn } = openTurns();
  for (let index = 0; index < 50; index++) void work("flood", TURN_MS.alone);
  void work("small", 0.1);
  endTurn();
  endTurn();
  assert.deepEqual(done, ["flood", "flood", "small", "flood"]);
});

test("work that took long is followed by as long a pause, in which others are served", () => {
  const { done, work, endTurn, passPause, pauses } = openTurns();
  for (let index = 0; index < 3; index++) void work("flood", LONG_TURN_MS);
  assert.deepEqual(done, ["flood"]);
  endTurn();
  assert.deepEqual(done, ["flood"]);
  void work("small", 1);
  assert.deepEqual(done, ["flood", "small"]);
  endTurn();
  assert.deepEqual(done, ["flood", "small"]);
  assert.equal(pauses(), 1);
  assert.equal(passPause(), LONG_TURN_MS);
  assert.deepEqual(done, ["flood", "small", "flood"]);
});

test("no pause is longer than its bound", () => {
  const { work, endTurn, passPause } = openTurns();
  void work("flood", 700);
  endTurn();
  assert.equal(passPause(), PAUSE_MS_MAX);
});

test("work of a tenant is done in the order in which it came, and its failures are its own", async () => {
  const { done, work, fail, endTurn } = openTurns();
  void work("acme", TURN_MS.alone);
  const failing = fail("acme");
  const last = work("acme", 1);
  endTurn();
  await assert.rejects(failing, /broken/);
  assert.equal(await last, "acme");
  assert.deepEqual(done, ["acme", "acme"]);
});

test("a gateway works on bodies in such turns: a tenant with one event waits for few of a tenant with many", async () => {
  const order: string[] = [];
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      directory: {
        ...drivers.directory,
        // The last that the work on an event does at once.
        version(tenant) {
          order.push(tenant);
          void harness.clock.standStill(TURN_MS.alone);
          return drivers.directory.version(tenant);
        },
      },
    }),
  });
  const body = { type: "a", data: 1 };
  const [flood, small] = [await harness.createKey({ tenant: "flood" }), await harness.createKey({ tenant: "small" })];
  const answers = Array.from({ length: 20 }, () => harness.call("POST", "/v1/events", { key: flood, body }));
  answers.push(harness.call("POST", "/v1/events", { key: small, body }));
  for (let turn = 0; turn < 40; turn++) await harness.clock.advance(1);
  for (const { status } of await Promise.all(answers)) assert.equal(status, 202);
  assert.ok(order.indexOf("small") <= 3, order.join(" "));
});
