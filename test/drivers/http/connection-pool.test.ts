/** The pool's bounds and order, with connections that the test opens and ends. */
import assert from "node:assert/strict";
import { test } from "node:test";

import type { Connection } from "@posthaste/shared/drivers/http/connection.ts";
import type { ConnectionHooks } from "@posthaste/shared/drivers/http/connection-pool.ts";
import { ConnectionPool, SWEEP_MS } from "@posthaste/shared/drivers/http/connection-pool.ts";
import { Limit } from "@posthaste/shared/drivers/http/limit.ts";

import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { running } from "../../support/receiver.ts";

const ORIGIN = "http://receiver.test";

/** A pool whose connections open at once unless `isRefused` says otherwise; each may be told that its request ended. */
function openPool(options: { connectionsMax?: number; socketsMax?: number } = {}) {
  const clock = createManualClock(0);
  const opened: (Connection & { end: () => void; closedFor: unknown[] })[] = [];
  const world = { isRefused: false };
  const open = (_origin: string, _tenant: string, hooks: ConnectionHooks): Promise<Connection> => {
    if (world.isRefused) return Promise.reject(new Error("refused"));
    const connection = {
      openedAtMs: clock.monotonic(),
      idleUntilMs: clock.monotonic() + 60_000,
      requestCount: 0,
      isOpen: true,
      closedFor: [] as unknown[],
      close(reason: unknown) {
        if (!connection.isOpen) return;
        connection.isOpen = false;
        connection.closedFor.push(reason);
        hooks.onClosed(connection as unknown as Connection);
      },
      end() {
        connection.requestCount += 1;
        hooks.onIdle(connection as unknown as Connection);
      },
    };
    opened.push(connection as unknown as (typeof opened)[number]);
    return Promise.resolve(connection as unknown as Connection);
  };
  const { connectionsMax = 2, socketsMax = 10 } = options;
  const pool = new ConnectionPool({ clock, connectionsMax, socketsMax, open });
  const limit = () => new Limit({ clock, timeoutMs: 15_000, signal: running, mayBegin: () => true, milestones: null });
  return { pool, clock, opened, world, limit };
}

test("no more than connectionsMax are open, and those who wait are served in the order of coming", async () => {
  const { pool, opened, limit } = openPool({ connectionsMax: 1 });
  const served: number[] = [];
  const waits = [1, 2, 3].map((nth) => pool.wait(ORIGIN, "a", false, limit()).then(() => served.push(nth)));
  for (const wait of waits) {
    await wait;
    opened[0]?.end();
  }
  assert.deepEqual([served, opened.length], [[1, 2, 3], 1]);
});

test("a fresh one is opened where used ones hold every place", async () => {
  const { pool, opened, limit } = openPool({ connectionsMax: 1 });
  await pool.wait(ORIGIN, "a", false, limit());
  const fresh = pool.wait(ORIGIN, "a", true, limit());
  opened[0]?.end();
  const connection = await fresh;
  assert.equal(connection.requestCount, 0);
  assert.deepEqual([opened.length, opened[0]?.isOpen], [2, false]);
});

test("who wants a fresh one closes those that idle", async () => {
  const { pool, opened, limit } = openPool();
  await Promise.all([pool.wait(ORIGIN, "a", false, limit()), pool.wait(ORIGIN, "a", false, limit())]);
  for (const connection of opened) connection.end();
  await pool.wait(ORIGIN, "a", true, limit());
  assert.deepEqual(
    opened.map(({ isOpen }) => isOpen),
    [false, false, true],
  );
});

test("one that cannot be opened fails the first who waits, and the next gets a try of its own", async () => {
  const { pool, world, limit } = openPool({ connectionsMax: 1 });
  world.isRefused = true;
  const first = assert.rejects(pool.wait(ORIGIN, "a", false, limit()), /refused/);
  const second = pool.wait(ORIGIN, "a", false, limit());
  world.isRefused = false;
  await first;
  await second;
});

test("over all origins the idle ones are closed, longest unused first, beyond socketsMax", async () => {
  const { pool, opened, limit } = openPool({ socketsMax: 2 });
  for (const name of ["a", "b", "c"]) {
    await pool.wait(`http://${name}.test`, "a", false, limit());
    opened.at(-1)?.end();
  }
  assert.deepEqual(
    opened.map(({ isOpen }) => isOpen),
    [false, true, true],
  );
});

test("what idled too long is closed, also when nobody asks, and then no timer is left", async () => {
  const { pool, clock, opened, limit } = openPool();
  using wait = limit();
  await pool.wait(ORIGIN, "a", false, wait);
  opened[0]?.end();
  wait[Symbol.dispose]();
  await clock.advance(60_000 + SWEEP_MS);
  assert.equal(opened[0]?.isOpen, false);
  assert.equal(clock.timerCount(), 0);
});

test("close() ends those who wait and what is open, with the reason", async () => {
  const { pool, opened, limit } = openPool({ connectionsMax: 1 });
  await pool.wait(ORIGIN, "a", false, limit());
  const waiting = assert.rejects(pool.wait(ORIGIN, "a", false, limit()), /stopping/);
  const reason = new Error("stopping");
  pool.close(reason);
  await waiting;
  assert.deepEqual(opened[0]?.closedFor, [reason]);
});
