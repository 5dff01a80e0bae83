/** A long append leaves turns to others: it is written in parts, each kept or not by itself. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { SHARE_BY_PRIORITY } from "@posthaste/shared/drivers/sqlite/admission.ts";
import { createDatabase, prepareDatabase } from "@posthaste/shared/drivers/sqlite/database.ts";
import { createEventStore } from "@posthaste/shared/drivers/sqlite/event-store.ts";
import { createGroupCommit } from "@posthaste/shared/drivers/sqlite/group-commit.ts";
import { createLanes } from "@posthaste/shared/drivers/sqlite/lanes.ts";
import { PART_ROWS } from "@posthaste/shared/drivers/sqlite/parts.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { PartlyAppended } from "@posthaste/shared/ports/lanes.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";
import { createBreakable } from "./breakable-database.ts";

const PARTS = 10;
const NEVER = new AbortController().signal;

/** With `commitMs` 0 each operation has a transaction of its own. */
function openLanes(bounds = { itemsMax: 100_000, bytesMax: 100_000_000 }, file = new DatabaseSync(":memory:")) {
  prepareDatabase(file);
  const breakable = createBreakable(createDatabase(file));
  const { database } = breakable;
  const clock = createManualClock(START_MS);
  const writer = createGroupCommit({ database, clock, commitMs: { alone: 0, beside: 0 } });
  const events = createEventStore(database, clock);
  return { breakable, lanes: createLanes({ database, writer, events, clock, bounds }) };
}

function batchOf(count: number): Envelope[] {
  return Array.from({ length: count }, (_, index) => sampleEnvelope(`evt_${index}`, { tenant: "many" }));
}

test("one event of another tenant is kept long before a batch that came first is", async () => {
  const { lanes } = openLanes();
  let isBatchKept = false;
  const batch = lanes.append(batchOf(PARTS * PART_ROWS)).then(() => (isBatchKept = true));
  await lanes.append([sampleEnvelope("evt_one", { tenant: "small" })]);
  assert.equal(isBatchKept, false);
  assert.ok((await lanes.depth("medium")).count <= 2 * PART_ROWS + 1);
  await batch;
  assert.equal((await lanes.depth("medium")).count, PARTS * PART_ROWS + 1);
});

test("of a batch whose store fails in the middle those that are kept are kept, and the others are named and leave no trace", async () => {
  const all = batchOf(3 * PART_ROWS);
  const { lanes, breakable } = openLanes({
    itemsMax: Math.ceil((3 * PART_ROWS) / SHARE_BY_PRIORITY.MEDIUM),
    bytesMax: 100_000_000,
  });
  let commits = 0;
  breakable.breaks = (sql) => sql === "COMMIT" && ++commits === 2;
  const failure: unknown = await lanes.append(all).catch((error: unknown) => error);
  assert.ok(failure instanceof PartlyAppended);
  assert.deepEqual([...failure.failures.keys()], all.slice(PART_ROWS, 2 * PART_ROWS));
  const kept = all.filter((envelope) => !failure.failures.has(envelope));
  const items = await lanes.take("medium", all.length, NEVER);
  assert.deepEqual(items.map(({ envelope }) => envelope.id).toSorted(), kept.map(({ id }) => id).toSorted());
  // They hold no room: there is just enough for all.
  await lanes.append(all.slice(PART_ROWS, 2 * PART_ROWS));
  assert.equal((await lanes.depth("medium")).count, 3 * PART_ROWS);
});

test("a batch of which all fails is refused with the failure itself", async () => {
  const { lanes, breakable } = openLanes();
  breakable.breaks = (sql) => sql === "COMMIT";
  await assert.rejects(lanes.append(batchOf(3 * PART_ROWS)), (error) => !(error instanceof PartlyAppended));
  assert.equal((await lanes.depth("medium")).count, 0);
});

test("a process that dies between two parts leaves whole parts, and a repeat under the same ids makes nothing twice", async () => {
  const file = new DatabaseSync(":memory:");
  const all = batchOf(4 * PART_ROWS);
  const dying = openLanes(undefined, file);
  let commits = 0;
  // Nothing is written from the second part's COMMIT on.
  dying.breakable.breaks = (sql) => sql === "COMMIT" && ++commits > 1;
  await assert.rejects(dying.lanes.append(all));
  const { lanes } = openLanes(undefined, file);
  assert.equal((await lanes.depth("medium")).count, PART_ROWS);
  await lanes.append(all);
  assert.equal((await lanes.depth("medium")).count, all.length);
  const items = await lanes.take("medium", 2 * all.length, NEVER);
  assert.deepEqual(items.map(({ envelope }) => envelope.id).toSorted(), all.map(({ id }) => id).toSorted());
});
