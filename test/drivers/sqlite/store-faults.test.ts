/** What the embedded stores promise when SQLite fails under a read: nothing is lost, nobody is left waiting. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { createDatabase, prepareDatabase } from "@posthaste/shared/drivers/sqlite/database.ts";
import { createEventStore } from "@posthaste/shared/drivers/sqlite/event-store.ts";
import { createGroupCommit } from "@posthaste/shared/drivers/sqlite/group-commit.ts";
import { createRetryQueue } from "@posthaste/shared/drivers/sqlite/retry-queue.ts";
import { createStats } from "@posthaste/shared/drivers/sqlite/stats.ts";
import { storeError } from "@posthaste/shared/drivers/sqlite/store-error.ts";
import { PullWaiters } from "@posthaste/shared/lib/waiters.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { createBreakable, ioError } from "./breakable-database.ts";
import { memberIdsOf, withCode } from "../../contract/harness.ts";
import { START_MS, TENANT, sampleEnvelopes, sampleScheduled } from "../../support/samples.ts";

const HOUR_MS = 3600 * 1000;
const NEVER = new AbortController().signal;

function openParts() {
  const raw = new DatabaseSync(":memory:");
  prepareDatabase(raw);
  const clock = createManualClock(START_MS);
  const breakable = createBreakable(createDatabase(raw));
  const writer = createGroupCommit({ database: breakable.database, clock });
  return { clock, breakable, database: breakable.database, writer };
}

test("an I/O error on the third of five due items loses none of them", async () => {
  const { clock, breakable, database, writer } = openParts();
  const events = createEventStore(database, clock);
  const queue = createRetryQueue({ database, writer, events, clock });
  let reads = 0;
  breakable.breaks = (sql) => sql.includes("FROM retry_members m") && [3, 4].includes(++reads);
  await queue.schedule(
    sampleEnvelopes(5).map((envelope) => sampleScheduled([envelope], { notBeforeMs: START_MS - 1 })),
  );
  const first = await queue.take(10, NEVER);
  assert.deepEqual(memberIdsOf(first), [["evt_0"], ["evt_1"]]);
  await assert.rejects(queue.take(10, NEVER), withCode("store-unavailable"));
  const rest = await queue.take(10, NEVER);
  assert.deepEqual(memberIdsOf(rest), [["evt_2"], ["evt_3"], ["evt_4"]]);
  queue.stop();
});

test("a take that cannot find out when to wake rejects and takes no batch from those who come later", async () => {
  const stock: string[] = [];
  let isBroken = true;
  const waiters = new PullWaiters<string>({
    toError: storeError,
    pull: (max) => stock.splice(0, max),
    onWaiting() {
      if (isBroken) throw ioError();
    },
  });
  await assert.rejects(waiters.take(5, NEVER), withCode("store-unavailable"));
  assert.equal(waiters.count, 0);
  isBroken = false;
  const later = waiters.take(5, NEVER);
  stock.push("a");
  waiters.wake();
  assert.deepEqual(await later, ["a"]);
});

test("a wake after which nobody can be woken again rejects all who still wait", async () => {
  const stock: string[] = [];
  let isBroken = false;
  const waiters = new PullWaiters<string>({
    toError: storeError,
    pull: (max) => stock.splice(0, max),
    onWaiting() {
      if (isBroken) throw ioError();
    },
  });
  const taken = [waiters.take(1, NEVER), waiters.take(1, NEVER), waiters.take(1, NEVER)];
  isBroken = true;
  stock.push("a");
  waiters.wake();
  const results = await Promise.allSettled(taken);
  assert.deepEqual(
    results.map((result) =>
      result.status === "fulfilled" ? result.value : withCode("store-unavailable")(result.reason),
    ),
    [["a"], true, true],
  );
  assert.equal(waiters.count, 0);
});

test("counting at an hour's turn never throws; what could not be counted is reported, and counting goes on", async () => {
  const { clock, breakable, database, writer } = openParts();
  const stats = createStats({ database, writer, clock });
  const accepted = (atMs: number): StatEntry => ({
    kind: "accepted",
    tenant: TENANT,
    type: "order.paid",
    lane: "medium",
    atMs,
  });
  stats.add([accepted(START_MS)]);
  breakable.breaks = () => true;
  stats.add([accepted(START_MS + HOUR_MS), accepted(START_MS + HOUR_MS)]);
  breakable.breaks = () => false;
  assert.equal(stats.lostCount(), 2);
  stats.add([accepted(START_MS + HOUR_MS)]);
  assert.equal((await stats.tenant(TENANT)).totalEvents, 2);
  stats.stop();
});
