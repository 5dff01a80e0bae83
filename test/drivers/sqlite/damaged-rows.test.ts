/**
 * Rows of the embedded set that somebody edited by hand, column by column, into what none of ours is: each costs itself. Lists,
 * queues and writes of everybody else go on, and the next start works.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDamage } from "@posthaste/shared/domain/errors.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import type { EmbeddedHarness } from "../../contract/embedded-harness.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { takeUntilSettled } from "../../contract/harness.ts";
import {
  START_MS,
  sampleDeadLetter,
  sampleEndpoint,
  sampleEnvelope,
  sampleKey,
  sampleRecord,
  sampleScheduled,
} from "../../support/samples.ts";

const TENANTS = ["odd", "well"] as const;
const NUMBERS: readonly (bigint | number)[] = [-1n, 2n ** 62n, 10n ** 16n, -(2n ** 62n)];
/** Read as a number they are another one, below or above: a place of such an id is found under no id. */
const NOT_DOUBLES: readonly bigint[] = [2n ** 62n + 1n, 2n ** 63n - 1n];
const TEXTS = ["", "{", "a.b/c|d\0", "x".repeat(100_000)];

async function fill({ drivers, clock }: EmbeddedHarness): Promise<void> {
  for (const tenant of TENANTS) {
    const envelope = (id: string) => sampleEnvelope(`${tenant}_${id}`, { tenant });
    const endpointId = `ep_${tenant}`;
    await drivers.directory.create(sampleEndpoint(endpointId, { tenant }));
    await drivers.apiKeys.save(sampleKey(`key_${tenant}`, { tenant }));
    await drivers.lanes.append([envelope("lane")]);
    await drivers.retryQueue.schedule([sampleScheduled([envelope("retry")], { endpointId })]);
    await drivers.retryQueue.schedule([sampleScheduled([envelope("parked")], { endpointId, cause: "parked" })]);
    await drivers.deadLetters.append([sampleDeadLetter(`dlv_${tenant}`, { envelope: envelope("dead"), endpointId })]);
    await drivers.claims.claim({
      tenant,
      key: "key:a",
      fingerprint: "aa",
      eventIds: ["evt_a"],
      acceptedAtMs: START_MS,
    });
    await drivers.claims.claim({
      tenant,
      key: "key:b",
      fingerprint: "aa",
      eventIds: ["evt_b"],
      acceptedAtMs: START_MS,
    });
    await drivers.claims.complete(tenant, "key:b", { status: 202, body: "{}" });
    const planned = { tenant, id: `${tenant}_lane`, acceptedAtMs: START_MS, deliverAtMs: clock.now() + 60_000 };
    await drivers.cancellations.cancel(planned);
    await drivers.begunAttempts.begin([{ tenant, eventId: `${tenant}_lane`, endpointId, generation: 0, attempt: 1 }]);
    drivers.ledger.record([
      {
        kind: "fan-out",
        fanOut: {
          tenant,
          eventId: `${tenant}_lane`,
          atMs: START_MS,
          matched: [endpointId],
          matchedCount: 1,
          filtered: [],
          filteredCount: 0,
        },
      },
      { kind: "delivery", delivery: sampleRecord(envelope("lane"), { endpointId, state: "retrying", attempt: 1 }) },
    ]);
    drivers.stats.add([
      { kind: "accepted", tenant, type: "order.paid", lane: "low", atMs: START_MS },
      {
        kind: "attempt",
        tenant,
        endpointId,
        lane: "low",
        outcome: "retry",
        durationMs: 1,
        sinceDueMs: [1],
        seen: { inFlight: 1, inFlightMax: 4, breaker: "open" },
        atMs: START_MS,
      },
    ]);
    await drivers.flush();
  }
}

/** Everything a caller or a processor does; throws when it is refused for anything but the damaged thing itself. */
async function useAll(harness: EmbeddedHarness): Promise<void> {
  const { drivers, clock } = harness;
  const orDamage = async (work: Promise<unknown>): Promise<unknown> =>
    work.catch((error: unknown) => {
      if (!isDamage(error)) throw error;
    });
  for (const tenant of [...TENANTS, null] as const) {
    const filter = { tenant };
    for (const limit of [1, 100]) {
      for (const event of (await drivers.ledger.events(filter, limit, null)).rows)
        assertServable(event.envelope.acceptedAtMs);
      for (const letter of (await drivers.deadLetters.list(filter, limit, null)).rows) assertServable(letter.atMs);
      for (const endpoint of (await drivers.directory.list(filter, limit, null)).rows)
        assertServable(endpoint.createdAtMs);
      for (const key of (await drivers.apiKeys.list(tenant, limit, null)).rows) {
        for (const atMs of [key.createdAtMs, key.expiresAtMs, key.revokedAtMs]) assertServable(atMs ?? 0);
      }
    }
    await drivers.deadLetters.count(filter);
  }
  for (const tenant of TENANTS) {
    const endpointId = `ep_${tenant}`;
    const eventId = `${tenant}_lane`;
    const { endpoints } = await drivers.directory.endpoints(tenant, 0);
    for (const endpoint of endpoints) matches(endpoint, "order.paid");
    await orDamage(drivers.directory.find(tenant, endpointId));
    await orDamage(drivers.apiKeys.find(`hash-of-key_${tenant}`));
    for (const delivery of (await drivers.ledger.deliveries({ tenant, endpointId }, 100, null)).rows)
      assertServable(delivery.acceptedAtMs);
    for (const attempt of (await drivers.ledger.attempts({ tenant, endpointId }, 100, null)).rows)
      assertServable(attempt.atMs);
    await drivers.ledger.deliveries({ tenant, eventId }, 100, null);
    await orDamage(drivers.ledger.event(tenant, eventId));
    await drivers.ledger.isCompleted({ tenant, eventId, endpointId, generation: 0, acceptedAtMs: START_MS }, 1);
    const { lastAttemptAtMs } = await drivers.stats.endpoint(tenant, endpointId);
    assertServable(lastAttemptAtMs ?? 0);
    await drivers.stats.tenant(tenant);
    for (const { atMs, accepted } of await drivers.stats.flow()) {
      assert.ok(new Date(atMs).toISOString() !== "" && accepted >= 0, `${atMs}: ${accepted}`);
    }
    await orDamage(drivers.deadLetters.find(`dlv_${tenant}`));
    for (const key of ["key:a", "key:b", "key:new"]) {
      const claim = { tenant, key, fingerprint: "aa", eventIds: ["evt_a"], acceptedAtMs: clock.now() };
      await drivers.claims.claim(claim);
      await drivers.claims.complete(tenant, key, { status: 202, body: "{}" });
    }
    const attempt = { tenant, eventId, endpointId, generation: 0, attempt: 1 };
    assert.ok((await drivers.begunAttempts.unended(attempt)) <= 100);
    await drivers.begunAttempts.begin([attempt]);
    await drivers.begunAttempts.end([attempt]);
  }
  drivers.ledger.record(
    TENANTS.map((tenant) => ({
      kind: "delivery",
      delivery: sampleRecord(sampleEnvelope(`${tenant}_lane`, { tenant }), {
        endpointId: `ep_${tenant}`,
        state: "delivered",
        attempt: 2,
      }),
    })),
  );
  await drivers.flush();
}

function assertServable(atMs: number): void {
  assert.equal(typeof new Date(atMs).toISOString(), "string");
}

/** What the well tenant has in its queues comes, and new events of all do. */
async function takeAll(harness: EmbeddedHarness, what: string, nth: number): Promise<void> {
  const { drivers, clock } = harness;
  const fresh = TENANTS.map((tenant) => sampleEnvelope(`${tenant}_new_${nth}`, { tenant, acceptedAtMs: clock.now() }));
  await drivers.lanes.append(fresh);
  const lane: string[] = [];
  for (let items = await take(); items.length > 0; items = await take()) {
    lane.push(...items.map(({ envelope }) => envelope.id));
    await drivers.lanes.ack(items);
  }
  assert.ok(lane.includes(`well_new_${nth}`) && lane.includes(`odd_new_${nth}`), `${what}: lane gave ${lane.join()}`);
  if (nth === 0) assert.ok(lane.includes("well_lane"), `${what}: lane gave ${lane.join()}`);
  await clock.advance(10_000);
  const due: string[] = [];
  for (let items = await takeRetries(); items.length > 0; items = await takeRetries()) {
    due.push(...items.flatMap(({ members }) => members.map(({ id }) => id)));
    await drivers.retryQueue.ack(items);
  }
  if (nth === 0) {
    assert.ok(due.includes("well_retry") && due.includes("well_parked"), `${what}: due were ${due.join()}`);
  }

  function take() {
    return takeUntilSettled(harness, (signal) => drivers.lanes.take("medium", 100, signal));
  }
  function takeRetries() {
    return takeUntilSettled(harness, (signal) => drivers.retryQueue.take(100, signal));
  }
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly pk: number;
}

async function columns(): Promise<readonly { readonly table: string; readonly column: Column }[]> {
  await using harness = await openMemoryHarness();
  const tables = harness.raw
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all() as unknown as { name: string }[];
  return tables.flatMap(({ name: table }) =>
    (harness.raw.prepare(`PRAGMA table_info(${table})`).all() as unknown as Column[]).map((column) => ({
      table,
      column,
    })),
  );
}

/** Of tables that name no tenant and whose rows must not all be spoilt. */
const OF_ODD: Readonly<Record<string, string>> = {
  retry_items: "WHERE endpoint_id = 'ep_odd'",
  retry_members: "WHERE item IN (SELECT id FROM retry_items WHERE endpoint_id = 'ep_odd')",
};

const all = await columns();

/** Sums that nothing can be added to are mended with the next claim, dead letter or cancellation, and not before. */
function valuesFor(table: string, { type }: Column): readonly (bigint | number | string | Uint8Array)[] {
  if (type === "INTEGER") return table.endsWith("_totals") ? NUMBERS : [...NUMBERS, ...NOT_DOUBLES];
  if (type === "REAL") return [-1, 1e300];
  return type === "BLOB" ? [new Uint8Array(), new Uint8Array(50)] : TEXTS;
}

/** False when the table itself refuses the value. */
function isEdited(
  { raw }: EmbeddedHarness,
  table: string,
  column: string,
  value: bigint | number | string | Uint8Array,
) {
  const hasTenant = all.some((each) => each.table === table && each.column.name === "tenant");
  const where = hasTenant ? "WHERE tenant = 'odd'" : (OF_ODD[table] ?? "");
  try {
    raw.prepare(`UPDATE OR IGNORE ${table} SET ${column} = ? ${where}`).run(value);
    return true;
  } catch {
    return false;
  }
}

for (const table of new Set(all.map((each) => each.table))) {
  test(`rows of ${table} that were edited by hand cost themselves, at once and after a start`, async () => {
    for (const { column } of all.filter((each) => each.table === table)) {
      for (const [index, value] of valuesFor(table, column).entries()) {
        const what = `${table}.${column.name} = ${String(value).slice(0, 20)}`;
        await using harness = await openMemoryHarness({ claimBytesMax: 1e9, deadLetterBytesMax: 1e9 });
        await fill(harness);
        if (!isEdited(harness, table, column.name, value)) continue;
        try {
          if (index % 2 === 1) await harness.reopen();
          await takeAll(harness, what, 0);
          await useAll(harness);
          await harness.clock.advance(26 * 3600_000);
          await takeAll(harness, what, 1);
        } catch (error) {
          throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        }
      }
    }
  });
}

test("an endpoint's row that does not read back is told at the start, and the tenant's others go on", async () => {
  await using harness = await openMemoryHarness();
  await fill(harness);
  await harness.drivers.directory.create(sampleEndpoint("ep_more", { tenant: "odd" }));
  harness.raw.prepare("UPDATE endpoints SET secrets = zeroblob(50) WHERE endpoint_id = 'ep_odd'").run();
  await harness.reopen();
  const { directory } = harness.drivers;
  const known = await directory.endpoints("odd", 0);
  assert.deepEqual([known.endpoints.map(({ id }) => id), known.unreadable], [["ep_more"], ["ep_odd"]]);
  assert.match((await harness.drivers.degraded())[0] ?? "", /do not read back: odd\/ep_odd/);
  await assert.rejects(directory.find("odd", "ep_odd"), isDamage);
  assert.equal(await directory.remove("odd", "ep_odd"), true);
  assert.deepEqual(await harness.drivers.degraded(), []);
  assert.equal((await directory.endpoints("odd", 0)).unreadable, undefined);
});

test("each list tells of the row that it passes over", async () => {
  await using harness = await openMemoryHarness();
  await fill(harness);
  const { directory, apiKeys, deadLetters } = harness.drivers;
  harness.raw.prepare("UPDATE endpoints SET secrets = zeroblob(50) WHERE tenant = 'odd'").run();
  harness.raw.prepare("UPDATE api_keys SET rate_limit = -1 WHERE tenant = 'odd'").run();
  harness.raw.prepare("UPDATE dead_letters SET generation = -1 WHERE tenant = 'odd'").run();
  for (const list of [
    () => directory.list({ tenant: null }, 10, null),
    () => apiKeys.list(null, 10, null),
    () => deadLetters.list({ tenant: null }, 10, null),
  ]) {
    const before = harness.faults.length;
    const { rows } = await list();
    assert.deepEqual([rows.length, harness.faults.length - before], [1, 1]);
    assert.ok(isDamage(harness.faults.at(-1)));
  }
});

for (const id of NOT_DOUBLES) {
  test(`a planned row of the id ${id} is told of at the start, keeps nobody waiting and is not asked for again`, async () => {
    await using harness = await openMemoryHarness();
    await fill(harness);
    harness.raw.prepare("UPDATE retry_items SET id = ? WHERE endpoint_id = 'ep_odd' AND cause = 'retry'").run(id);
    await harness.reopen();
    assert.match(String(harness.faults.at(-1)), /ids that are none of ours \(1\)/);
    const { clock, drivers } = harness;
    await clock.advance(10_000);
    // One at a time, so that each take ends at a row; with the odd one before all others it came again without end.
    const due: string[] = [];
    for (let items = await takeOne(); items.length > 0; items = await takeOne()) {
      due.push(...items.flatMap(({ members }) => members.map((member) => member.id)));
      await drivers.retryQueue.ack(items);
    }
    assert.deepEqual(due.toSorted(), ["odd_parked", "well_parked", "well_retry"]);
    assert.equal((await drivers.retryQueue.depth()).oldestAtMs, null);

    function takeOne() {
      return takeUntilSettled(harness, (signal) => drivers.retryQueue.take(1, signal));
    }
  });
}
