/** A list looks at a bounded number of rows for one call, whatever its filter, and its cursor leads to the end. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import {
  createBoundedLists,
  LOOKED_MAX,
  PAGE_BYTES_MAX,
  PARTS_MAX,
  READ_A_TURN,
} from "@posthaste/shared/drivers/sqlite/bounded-list.ts";
import { createConditions } from "@posthaste/shared/drivers/sqlite/conditions.ts";
import { createDatabase } from "@posthaste/shared/drivers/sqlite/database.ts";
import type { Page } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { EventFilter } from "@posthaste/shared/ports/ledger.ts";
import type { EmbeddedHarness } from "../../contract/embedded-harness.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { ENDPOINT_ID, START_MS, TENANT, sampleDeadLetter, sampleEnvelope } from "../../support/samples.ts";

const LOOKED = LOOKED_MAX * PARTS_MAX;
/** Two full calls and a rest. */
const ROWS = 2 * LOOKED + 500;
const OTHER_ENDPOINT = "ep_01kg9bqf00bbbbbbbbbbbbbbbb";

/** As many events, each delivered at its first attempt, and as many dead letters; so many have the same millisecond. */
async function fill(harness: EmbeddedHarness, aMillisecond = 1): Promise<void> {
  const count = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})`;
  const from = START_MS - ROWS;
  const [tenant, endpoint, type] = [`'${TENANT}'`, `'${ENDPOINT_ID}'`, "'order.paid'"];
  const rest = `NULL, NULL, 1`;
  const at = `${from} + i / ${aMillisecond}`;
  for (const insert of [
    `events SELECT i, ${tenant}, 'evt_' || i, ${type}, 'LOW', ${at}, ${rest}, 1, ${START_MS} * 2, x'00', NULL`,
    `deliveries SELECT i, i, ${endpoint}, 0, ${tenant}, ${at}, 'delivered', 1, ${at}, NULL, NULL, 1, 1, 0, 0, NULL`,
    `attempts SELECT i, 1, ${endpoint}, ${at}, 200, NULL, '', 0, NULL, 1, NULL, NULL`,
    `dead_letters SELECT i, 'dlv_' || i, ${tenant}, 'evt_' || i, ${endpoint}, 0, 'dead', '', 1, ${at}, ${type}, 'LOW',
       ${from}, ${rest}, x'00', NULL`,
  ]) {
    harness.raw.exec(`${count} INSERT INTO ${insert} FROM n`);
  }
  await harness.reopen();
}

type List = (drivers: Drivers, cursor: string | null) => Promise<Page<unknown>>;

/** Filters that match nothing of what is there, or nothing but the oldest. */
const MATCHING_NOTHING: Readonly<Record<string, List>> = {
  "events by type": ({ ledger }, cursor) => ledger.events({ tenant: TENANT, type: "no.such" }, 100, cursor),
  "events of all tenants by type": ({ ledger }, cursor) =>
    ledger.events({ tenant: null, type: "no.such" }, 100, cursor),
  "events by state": ({ ledger }, cursor) => ledger.events({ tenant: TENANT, state: "partial" }, 100, cursor),
  "events of an endpoint by state": ({ ledger }, cursor) =>
    ledger.events({ tenant: TENANT, endpointId: ENDPOINT_ID, state: "partial" }, 100, cursor),
  "events of an endpoint by type": ({ ledger }, cursor) =>
    ledger.events({ tenant: TENANT, endpointId: ENDPOINT_ID, type: "no.such" }, 100, cursor),
  "attempts by outcome": ({ ledger }, cursor) =>
    ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID, outcome: "failed" }, 100, cursor),
  "attempts by result": ({ ledger }, cursor) =>
    ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID, result: "timeout" }, 100, cursor),
  "deliveries by state": ({ ledger }, cursor) =>
    ledger.deliveries({ tenant: TENANT, endpointId: ENDPOINT_ID, state: "expired" }, 100, cursor),
  "attempts by the state of their delivery": ({ ledger }, cursor) =>
    ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID, state: "expired" }, 100, cursor),
  "attempts until a time before all": ({ ledger }, cursor) =>
    ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID, untilMs: 1 }, 100, cursor),
  "attempts since a time after all": ({ ledger }, cursor) =>
    ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID, sinceMs: START_MS + 1 }, 100, cursor),
  "attempts of another tenant's endpoint": ({ ledger }, cursor) =>
    ledger.attempts({ tenant: "other", endpointId: ENDPOINT_ID }, 100, cursor),
  "dead letters by type": ({ deadLetters }, cursor) =>
    deadLetters.list({ tenant: TENANT, eventType: "no.such" }, 100, cursor),
  "dead letters of an endpoint by type": ({ deadLetters }, cursor) =>
    deadLetters.list({ tenant: TENANT, endpointId: ENDPOINT_ID, eventType: "no.such" }, 100, cursor),
  "dead letters of a tenant by state": ({ deadLetters }, cursor) =>
    deadLetters.list({ tenant: TENANT, state: "paused" }, 100, cursor),
};

/** What an index alone answers, in one call. */
const ANSWERED_BY_INDEX: Readonly<Record<string, List>> = {
  "events since a time after all": ({ ledger }, cursor) =>
    ledger.events({ tenant: TENANT, sinceMs: START_MS + 1 }, 100, cursor),
  "events until a time before all": ({ ledger }, cursor) =>
    ledger.events({ tenant: TENANT, type: "no.such", untilMs: 1 }, 100, cursor),
  "attempts since a time long after all": ({ ledger }, cursor) =>
    ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID, sinceMs: START_MS + 2 * 3600 * 1000 }, 100, cursor),
  "dead letters held for an endpoint": ({ deadLetters }, cursor) =>
    deadLetters.list({ tenant: TENANT, endpointId: ENDPOINT_ID, state: "paused" }, 1, cursor),
  "dead letters held for any endpoint": ({ deadLetters }, cursor) =>
    deadLetters.list({ tenant: null, state: "paused" }, 50, cursor),
  "dead letters of another endpoint": ({ deadLetters }, cursor) =>
    deadLetters.list({ tenant: TENANT, endpointId: OTHER_ENDPOINT, eventType: "no.such" }, 100, cursor),
};

/** The rows of each page, to the end. */
async function pagesOf(drivers: Drivers, list: List): Promise<number[]> {
  const pages: number[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<unknown> = await list(drivers, cursor);
    pages.push(page.rows.length);
    cursor = page.next;
  } while (cursor !== null && pages.length < 100);
  return pages;
}

test("a filter that matches nothing of many rows looks at a bounded number of them for each call, and comes to the end", async () => {
  await using harness = await openMemoryHarness();
  await fill(harness);
  for (const [name, list] of Object.entries(MATCHING_NOTHING)) {
    assert.deepEqual(await pagesOf(harness.drivers, list), [0, 0, 0], name);
  }
  for (const [name, list] of Object.entries(ANSWERED_BY_INDEX)) {
    assert.deepEqual(await pagesOf(harness.drivers, list), [0], name);
  }
});

test("the one row that matches, the oldest of many, is found behind the empty pages", async () => {
  await using harness = await openMemoryHarness();
  await fill(harness);
  const oldest = { atMs: START_MS - 2 * ROWS, state: "expired" as const };
  await harness.drivers.deadLetters.append([sampleDeadLetter("dlv_oldest", oldest)]);
  const list: List = ({ deadLetters }, cursor) => deadLetters.list({ tenant: TENANT, state: "expired" }, 100, cursor);
  assert.deepEqual(await pagesOf(harness.drivers, list), [0, 0, 1]);
  assert.equal(await harness.drivers.deadLetters.count({ tenant: TENANT, state: "expired" }), 1);
  assert.equal(
    await harness.drivers.deadLetters.count({ tenant: TENANT, endpointId: ENDPOINT_ID, state: "dead" }),
    ROWS,
  );
});

test("rows of one time are each listed once, whether they are a part of a page or all there is", async () => {
  for (const aMillisecond of [700, ROWS + 1]) {
    await using harness = await openMemoryHarness();
    await fill(harness, aMillisecond);
    harness.raw.exec("UPDATE events SET type = 'rare.one' WHERE id IN (5, 17000)");
    harness.raw.exec("UPDATE dead_letters SET state = 'paused' WHERE id IN (5, 17000)");
    const { ledger, deadLetters } = harness.drivers;
    const names = async (list: (cursor: string | null) => Promise<Page<string>>): Promise<string[]> => {
      const found: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Page<string> = await list(cursor);
        found.push(...page.rows);
        cursor = page.next;
      } while (cursor !== null);
      return found;
    };
    const eventsOf = (filter: EventFilter) =>
      names(async (cursor) => {
        const { rows, next } = await ledger.events(filter, 1000, cursor);
        return { rows: rows.map(({ envelope }) => envelope.id), next };
      });
    const newestFirst = Array.from({ length: ROWS }, (_, index) => `evt_${ROWS - index}`);
    assert.deepEqual(await eventsOf({ tenant: TENANT }), newestFirst);
    assert.deepEqual(await eventsOf({ tenant: null, type: "rare.one" }), ["evt_17000", "evt_5"]);
    assert.deepEqual(await eventsOf({ tenant: TENANT, endpointId: ENDPOINT_ID, type: "rare.one" }), [
      "evt_17000",
      "evt_5",
    ]);
    const held = await names(async (cursor) => {
      const { rows, next } = await deadLetters.list(
        { tenant: TENANT, eventType: "order.paid", state: "paused" },
        1,
        cursor,
      );
      return { rows: rows.map(({ id }) => id), next };
    });
    assert.deepEqual(held, ["dlv_17000", "dlv_5"]);
    assert.equal(await deadLetters.count({ tenant: TENANT, endpointId: ENDPOINT_ID, eventType: "order.paid" }), ROWS);
  }
});

test("a cursor of a later time than until begins at until, not at the cursor", async () => {
  await using harness = await openMemoryHarness();
  await fill(harness);
  const { ledger } = harness.drivers;
  const { next } = await ledger.events({ tenant: TENANT }, 1, null);
  const untilMs = START_MS - ROWS + 3;
  const page = await ledger.events({ tenant: TENANT, type: "order.paid", untilMs }, 100, next);
  assert.deepEqual(
    page.rows.map(({ envelope }) => envelope.id),
    ["evt_2", "evt_1"],
  );
});

test("a page ends early, with a cursor, at a bound of bytes; a row that is larger goes alone", async () => {
  await using harness = await openMemoryHarness();
  const body = new Uint8Array(PAGE_BYTES_MAX / 4).fill(32);
  const sizes = [body, body, body, body, body, new Uint8Array(PAGE_BYTES_MAX + 1)];
  const envelopes = sizes.map((bytes, index) => sampleEnvelope(`evt_${index}`, { body: bytes }));
  await harness.drivers.lanes.append(envelopes);
  await harness.drivers.deadLetters.append(
    envelopes.map((envelope, index) => sampleDeadLetter(`dlv_${index}`, { envelope, atMs: START_MS + index })),
  );
  const lists: readonly List[] = [
    ({ ledger }, cursor) => ledger.events({ tenant: TENANT }, 100, cursor),
    ({ deadLetters }, cursor) => deadLetters.list({ tenant: TENANT }, 100, cursor),
  ];
  for (const list of lists) assert.deepEqual(await pagesOf(harness.drivers, list), [1, 4, 1]);
});

test("a page that finds nothing looks at 500 rows in one turn, in 32 of them", async () => {
  let turns = 1;
  const clock = {
    soon(callback: () => void): void {
      turns += 1;
      setImmediate(callback);
    },
  };
  const raw = new DatabaseSync(":memory:");
  raw.exec(`CREATE TABLE rows (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL) STRICT;
    CREATE INDEX rows_by_time ON rows (at);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO rows SELECT i, ${START_MS}, 'usual' FROM n`);
  const page = await createBoundedLists({ database: createDatabase(raw), clock }).page({
    kind: "e",
    limit: 10,
    cursor: null,
    table: "rows r",
    keys: ["r.at", "r.id"],
    range: createConditions(),
    sinceMs: undefined,
    untilMs: undefined,
    checks: createConditions().and("+r.kind = ?", "rare"),
    select: "SELECT r.id, r.at FROM rows r",
    keysOf: ({ at, id }: { at: number; id: number }) => [at, id],
  });
  assert.deepEqual([turns, page.rows.length, page.next === null], [32, 0, false]);
  assert.equal(LOOKED, 16_000);
});

test("each part of a page, and of a count, is looked at in a turn of its own", async () => {
  let turns = 0;
  const clock = {
    soon(callback: () => void): void {
      turns += 1;
      setImmediate(callback);
    },
  };
  const raw = new DatabaseSync(":memory:");
  raw.exec("CREATE TABLE rows (at INTEGER, id INTEGER, type TEXT, PRIMARY KEY (at, id)) WITHOUT ROWID");
  const count = 3 * LOOKED_MAX - 1;
  raw.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
    INSERT INTO rows SELECT ${START_MS} + i, i, 'a' FROM n`);
  const lists = createBoundedLists({ database: createDatabase(raw), clock });
  const query = {
    kind: "e",
    table: "rows",
    keys: ["at", "id"],
    range: createConditions(),
    sinceMs: undefined,
    untilMs: undefined,
    select: "SELECT at, id FROM rows",
    keysOf: () => [],
  } as const;
  const page = await lists.page({
    ...query,
    limit: 10,
    cursor: null,
    checks: createConditions().and("+type = ?", "b"),
  });
  assert.deepEqual([page.rows.length, page.next, turns], [0, null, 2]);
  assert.equal(await lists.count({ ...query, checks: createConditions() }), count);
  assert.equal(turns, 4);
});

test("the rows of a page are read a few in one turn, in order", async () => {
  let turns = 1;
  const clock = {
    soon(callback: () => void): void {
      turns += 1;
      setImmediate(callback);
    },
  };
  const database = createDatabase(new DatabaseSync(":memory:"));
  const rows = Array.from({ length: 100 }, (_, index) => index);
  const read = await createBoundedLists({ database, clock }).read(rows, (row) => (row % 2 === 0 ? [row] : []));
  assert.deepEqual(
    read,
    rows.filter((row) => row % 2 === 0),
  );
  assert.equal(turns, 100 / READ_A_TURN);
});
