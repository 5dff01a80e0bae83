/** The one writer of the embedded set, and the retention that works through it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { createDatabase, prepareDatabase } from "@posthaste/shared/drivers/sqlite/database.ts";
import { COMMIT_MS, createGroupCommit } from "@posthaste/shared/drivers/sqlite/group-commit.ts";
import { FRESH_ITEMS_MAX } from "@posthaste/shared/drivers/sqlite/lane-tail.ts";
import { PRUNE_ROWS_MAX } from "@posthaste/shared/drivers/sqlite/event-prune.ts";
import { createRetention } from "@posthaste/shared/drivers/sqlite/retention.ts";
import { createBreakable } from "./breakable-database.ts";
import type { SchemaCounts } from "./embedded-counts.ts";
import { countRows } from "./embedded-counts.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { takeSome, withCode } from "../../contract/harness.ts";
import { START_MS, TENANT, sampleEnvelope, sampleRecord } from "../../support/samples.ts";

const DAY_MS = 24 * 3600_000;

function openWriter(postsWaitingMax = 100) {
  const raw = new DatabaseSync(":memory:");
  prepareDatabase(raw);
  raw.exec("CREATE TABLE notes (position INTEGER PRIMARY KEY, text TEXT UNIQUE)");
  const clock = createManualClock(START_MS);
  const database = createDatabase(raw);
  const faults: unknown[] = [];
  const writer = createGroupCommit({ database, clock, postsWaitingMax, onFault: (error) => void faults.push(error) });
  const insert = database.prepare("INSERT INTO notes (text) VALUES (?)");
  const note = (text: string) => () => void insert.run(text);
  const notes = () =>
    raw
      .prepare("SELECT text FROM notes ORDER BY position")
      .all()
      .map(({ text }) => text);
  return { raw, clock, database, writer, note, notes, faults };
}

test("write() resolves after COMMIT: whoever awaits it can read what was written outside the transaction", async () => {
  const { raw, writer, note, notes } = openWriter();
  await writer.write(note("a"), 0);
  assert.deepEqual([notes(), raw.isTransaction], [["a"], false]);
});

test("write() resolves with the operation's result", async () => {
  const { writer } = openWriter();
  assert.equal(await writer.write(() => 42, 0), 42);
});

test("writes and posts of one turn are one commit, in the order of the calls", async () => {
  const { writer, note, notes } = openWriter();
  let commits = 0;
  writer.onCommit(() => commits++);
  const first = writer.write(note("a"), 0);
  writer.post(note("b"));
  const last = writer.write(note("c"), 0);
  await Promise.all([first, last]);
  assert.deepEqual([notes(), commits], [["a", "b", "c"], 1]);
});

/** A writer whose operations take `OPERATION_MS` each. */
function openSlowWriter(commitTookMs = 0) {
  const opened = openWriter();
  let nowMs = 0;
  const clock = { ...opened.clock, monotonic: () => nowMs };
  const database = {
    ...opened.database,
    exec(sql: string): void {
      opened.database.exec(sql);
      if (sql === "COMMIT") nowMs += commitTookMs;
    },
  };
  const writer = createGroupCommit({ database, clock });
  let commits = 0;
  writer.onCommit(() => commits++);
  const note = (text: string) => () => {
    nowMs += OPERATION_MS;
    opened.note(text)();
  };
  return { ...opened, writer, note, commits: () => commits };
}

const OPERATION_MS = 3;

test("a transaction takes no further operation once it took its time, and the rest is committed in the next ones", async () => {
  const { writer, note, notes, commits } = openSlowWriter();
  assert.ok(2 * OPERATION_MS > COMMIT_MS.alone);
  await Promise.all(["a", "b", "c", "d", "e"].map((text) => writer.write(note(text), 0)));
  assert.deepEqual([notes(), commits()], [["a", "b", "c", "d", "e"], 3]);
});

test("what a publisher waits for stands behind nothing that waits already", async () => {
  const { writer, note, notes, commits } = openSlowWriter();
  const others = ["a", "b", "c"].map((text) => writer.write(note(text), 0));
  await writer.writeUrgent("acme", note("urgent"), 0);
  assert.equal(commits(), 1);
  await Promise.all(others);
  assert.deepEqual(notes(), ["urgent", "a", "b", "c"]);
});

test("what one tenant waits for stands behind one of another's, however many those are", async () => {
  const { writer, note, notes, commits } = openSlowWriter();
  const many = ["a", "b", "c", "d"].map((text) => writer.writeUrgent("many", note(text), 0));
  await writer.writeUrgent("one", note("one"), 0);
  assert.equal(commits(), 1);
  await Promise.all(many);
  assert.deepEqual(notes(), ["a", "one", "b", "c", "d"]);
  // Beside each other they have shorter transactions than one that is alone.
  assert.ok(OPERATION_MS > COMMIT_MS.beside && OPERATION_MS < COMMIT_MS.alone);
  assert.equal(commits(), 1 + 3);
});

test("where a commit takes long, transactions are not shorter than that beside others, and no longer than alone", async () => {
  const { writer, note, commits } = openSlowWriter(5);
  await writer.writeUrgent("one", note("one"), 0);
  await Promise.all(["a", "b", "c", "d"].map((text) => writer.writeUrgent("many", note(text), 0)));
  assert.equal(commits(), 1 + 2);
});

test("an operation that throws rejects alone, and the others of its commit are kept in order", async () => {
  const { writer, note, notes } = openWriter();
  const bad = (): void => {
    note("half")();
    throw new Error("changed my mind");
  };
  const results = await Promise.allSettled([
    writer.write(note("a"), 0),
    writer.write(bad, 0),
    writer.write(note("b"), 0),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(notes(), ["a", "b"]);
});

test("a constraint that fails is our mistake and not the store's", async () => {
  const { writer, note } = openWriter();
  await writer.write(note("a"), 0);
  await assert.rejects(writer.write(note("a"), 0), (error: unknown) => !withCode("store-unavailable")(error));
  assert.equal(await writer.health(), null);
});

test("the committed callback runs before the promise resolves, and never for what failed", async () => {
  const { writer, note } = openWriter();
  const seen: string[] = [];
  const good = writer.write(note("a"), 0, () => void seen.push("committed")).then(() => seen.push("resolved"));
  const bad = writer.write(
    () => assert.fail("no"),
    0,
    () => void seen.push("never"),
  );
  await Promise.allSettled([good, bad]);
  assert.deepEqual(seen, ["committed", "resolved"]);
});

test("what throws after COMMIT changes no result, keeps nobody from his turn, and is reported", async () => {
  const { writer, note, notes, faults } = openWriter();
  const [callbackFault, listenerFault] = [new Error("callback"), new Error("listener")];
  const seen: string[] = [];
  const failWith = (error: Error) => (): never => {
    throw error;
  };
  writer.onCommit(failWith(listenerFault));
  writer.onCommit(() => void seen.push("listener"));
  const first = writer.write(note("a"), 0, failWith(callbackFault));
  const second = writer.write(note("b"), 0, () => void seen.push("callback"));
  await Promise.all([first, second]);
  assert.deepEqual(
    [notes(), seen],
    [
      ["a", "b"],
      ["callback", "listener"],
    ],
  );
  assert.deepEqual(faults, [callbackFault, listenerFault]);
  assert.equal(await writer.health(), null);
});

test("retention that cannot read the store when it is woken does not throw, and the next wake arms it", () => {
  const { clock, database, writer } = openWriter();
  const broken = createBreakable(database);
  const retention = createRetention({ database: broken.database, writer, clock });
  database.exec("INSERT INTO claims VALUES (NULL, 'acme', 'key:a', 'aa', '[]', 0, NULL, NULL, 5, NULL)");
  broken.breaks = () => true;
  retention.wake();
  assert.equal(clock.timerCount(), 0);
  broken.breaks = () => false;
  retention.wake();
  assert.equal(clock.timerCount(), 1);
  retention.stop();
});

test("when COMMIT fails no caller hears that it worked", async () => {
  const { raw, writer, notes, clock } = openWriter();
  raw.exec("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
  raw.exec("CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)");
  const orphan = writer.write(() => raw.exec("INSERT INTO child VALUES (1)"), 0);
  const other = writer.write(() => raw.exec("INSERT INTO notes (text) VALUES ('a')"), 0);
  const results = await Promise.allSettled([orphan, other]);
  await clock.settle();
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.deepEqual([notes(), raw.isTransaction], [[], false]);
});

test("past the bound posted operations are dropped and counted, and writes are not", async () => {
  const { writer, note, notes } = openWriter(2);
  for (const text of ["a", "b", "c", "d"]) writer.post(note(text));
  await writer.write(note("e"), 0);
  assert.deepEqual([notes(), writer.lostCount()], [["a", "b", "e"], 2]);
  writer.post(note("f"));
  await writer.flush();
  assert.deepEqual([notes().at(-1), writer.lostCount()], ["f", 2]);
});

test("a posted operation that fails is counted as lost and disturbs nobody", async () => {
  const { writer, note, notes, clock } = openWriter();
  writer.post(() => assert.fail("no"));
  await writer.write(note("a"), 0);
  await clock.settle();
  assert.deepEqual([notes(), writer.lostCount()], [["a"], 1]);
});

test("flush() resolves under steady writing as soon as what came before it is committed", async () => {
  const { writer, note, notes } = openWriter();
  const stop = new AbortController();
  const steady = (async () => {
    for (let count = 0; !stop.signal.aborted; count++) await writer.write(note(`steady ${count}`), 0);
  })();
  writer.post(note("posted"));
  await writer.flush();
  assert.ok(notes().includes("posted"));
  stop.abort();
  await steady;
});

test("retention deletes in steps of a few hundred rows and leaves nothing behind", async () => {
  await using harness = await openMemoryHarness();
  const { lanes, ledger } = harness.drivers;
  for (let batch = 0; batch < 3; batch++) {
    const envelopes = Array.from({ length: 700 }, (_, index) => sampleEnvelope(`evt_${batch}_${index}`));
    await lanes.append(envelopes);
    ledger.record(envelopes.map((envelope) => ({ kind: "delivery", delivery: sampleRecord(envelope) })));
    await lanes.ack(await takeSome(harness, "medium", 1000));
  }
  await harness.clock.advance(DAY_MS + 600_000);
  const empty: SchemaCounts = { events: 0, deliveries: 0, attempts: 0, lane_items: 0 };
  assert.deepEqual(countRows(harness.raw), empty);
});

test("one step of retention is bounded, also for an event with very many deliveries", async () => {
  await using harness = await openMemoryHarness();
  const envelope = sampleEnvelope("evt_wide");
  await harness.drivers.lanes.append([envelope]);
  await harness.drivers.lanes.ack(await takeSome(harness, "medium"));
  const endpoints = Array.from({ length: 2000 }, (_, index) => `ep_${index}`);
  harness.drivers.ledger.record(
    endpoints.map((endpointId) => ({
      kind: "delivery",
      delivery: sampleRecord(envelope, { endpointId, atMs: START_MS }),
    })),
  );
  await harness.drivers.flush();
  // Its own retention would notice the step, too.
  await harness.drivers[Symbol.asyncDispose]();
  harness.clock.stepWall(2 * DAY_MS);
  const database = createDatabase(harness.raw);
  const writer = createGroupCommit({ database, clock: harness.clock });
  let before = countRows(harness.raw);
  const steps: number[] = [];
  writer.onCommit(() => {
    const after = countRows(harness.raw);
    steps.push(before.deliveries - after.deliveries + before.attempts - after.attempts);
    before = after;
  });
  const retention = createRetention({ database, writer, clock: harness.clock });
  await harness.clock.advance(60_000);
  retention.stop();
  assert.deepEqual([before.events, before.deliveries, before.attempts], [0, 0, 0]);
  assert.ok(steps.length >= 8 && Math.max(...steps) <= PRUNE_ROWS_MAX + 50, steps.join(" "));
});

test("a lane that nobody takes from keeps a bounded part of it in memory and the rest in the file", async () => {
  await using harness = await openMemoryHarness();
  const total = FRESH_ITEMS_MAX + 500;
  const envelopes = Array.from({ length: total }, (_, index) => sampleEnvelope(`evt_${index}`));
  for (let from = 0; from < total; from += 500) await harness.drivers.lanes.append(envelopes.slice(from, from + 500));
  const items = await takeSome(harness, "medium", total);
  const fromMemory = items.filter(({ envelope }, index) => envelope === envelopes[index]);
  assert.deepEqual([items.length, fromMemory.length], [total, FRESH_ITEMS_MAX]);
});

test("an empty store sets no timer, and the first write sets one", async () => {
  await using harness = await openMemoryHarness();
  assert.equal(harness.clock.timerCount(), 0);
  await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
  assert.equal(harness.clock.timerCount(), 1);
  await harness.drivers.lanes.ack(await takeSome(harness, "medium"));
  await harness.clock.advance(2 * DAY_MS);
  assert.equal(await harness.drivers.ledger.event(TENANT, "evt_a"), null);
  assert.equal(harness.clock.timerCount(), 0);
});

test("a fan-out that was damaged costs its own ids, and no list", async () => {
  await using harness = await openMemoryHarness();
  const envelopes = [sampleEnvelope("evt_a"), sampleEnvelope("evt_b")];
  await harness.drivers.lanes.append(envelopes);
  harness.drivers.ledger.record(
    envelopes.map(({ tenant, id: eventId }) => ({
      kind: "fan-out",
      fanOut: { tenant, eventId, atMs: START_MS, matched: ["ep_1"], matchedCount: 1, filtered: [], filteredCount: 0 },
    })),
  );
  await harness.drivers.flush();
  harness.raw.exec("UPDATE fan_outs SET matched = '{' WHERE event = (SELECT id FROM events WHERE event_id = 'evt_a')");
  const { rows } = await harness.drivers.ledger.events({ tenant: TENANT }, 10, null);
  assert.deepEqual(
    rows.map(({ envelope, fanOut }) => [envelope.id, fanOut?.matched]),
    [
      ["evt_b", ["ep_1"]],
      ["evt_a", []],
    ],
  );
});
