/** Every statement of the embedded set is explained: none may look at a whole table, or sort one, without a named reason. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import type { EmbeddedDrivers } from "@posthaste/shared/drivers/embedded.ts";
import { EVENT_STATES } from "@posthaste/shared/domain/event-state.ts";
import { ATTEMPT_OUTCOMES } from "@posthaste/shared/domain/outcome.ts";
import type { DeadLetterFilter } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeliveryFilter, EventFilter } from "@posthaste/shared/ports/ledger.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import {
  ENDPOINT_ID,
  START_MS,
  TENANT,
  sampleKey,
  sampleDeadLetter,
  sampleEndpoint,
  sampleEnvelope,
  sampleRecord,
  sampleScheduled,
} from "../../support/samples.ts";

/**
 * Statements that may look at all rows of a table or sort what they find, and why that is bounded. The key is a part of
 * the statement's text, which ends with `;`.
 */
const EXEMPT: Readonly<Record<string, string>> = {
  "FROM sqlite_schema LIMIT 1": "one row, at the first start",
  "SELECT * FROM api_keys;": "at the start: all keys are kept in memory",
  "SELECT name, record FROM event_types": "at the start: the catalogue is kept in memory",
  "FROM event_types WHERE name <> ?": "when an operator writes a type, of at most 1,000",
  "FROM directory_versions": "at the start: all endpoints are kept in memory",
  "END) AS id FROM retry_items": "at the start, before anyone is served: what the bounds count",
  "deliveries d CROSS JOIN events e ON e.id = d.event WHERE d.event =": "sorts the deliveries of one event",
  "attempts a ON a.delivery = d.id": "sorts the attempts of one event",
  "count(*) AS count FROM attempts_begun": "at the start: at most 10,000 rows",
  "api_keys WHERE tenant IS ? AND min(": "sorts the keys of one tenant that have ended, which are bounded",
  "INSERT INTO dead_letter_totals SELECT": "after somebody edited the sums by hand",
  "INSERT INTO claim_totals SELECT": "after somebody edited the sums by hand",
  "INSERT INTO cancellation_totals SELECT": "after somebody edited the sums by hand",
  "GROUP BY type": "groups the types of one tenant and day, which are bounded",
};

/** Every combination of these members, the empty one too. */
function combinations<Filter extends object>(members: Filter): Partial<Filter>[] {
  const all: Partial<Filter>[] = [{}];
  for (const [name, value] of Object.entries(members)) {
    all.push(...all.map((filter) => ({ ...filter, [name]: value as unknown })));
  }
  return all;
}

const TIMES = { sinceMs: START_MS, untilMs: START_MS + 1 };

const DEAD_LETTER_FILTERS = [null, TENANT].flatMap((tenant) =>
  combinations<Omit<DeadLetterFilter, "tenant">>({
    endpointId: ENDPOINT_ID,
    eventId: "evt_a",
    eventType: "order.paid",
    state: "paused",
    ...TIMES,
  }).map((filter) => ({ tenant, ...filter })),
);

const EVENT_FILTERS: readonly EventFilter[] = [
  { tenant: null },
  { tenant: TENANT },
  { tenant: TENANT, endpointId: ENDPOINT_ID },
].flatMap((of) => [
  ...combinations({ type: "order.paid", state: "dead" as const, ...TIMES }).map((filter) => ({ ...of, ...filter })),
  ...EVENT_STATES.map((state) => ({ ...of, state })),
]);

const DELIVERY_FILTERS: readonly DeliveryFilter[] = [
  { endpointId: ENDPOINT_ID },
  { eventId: "evt_a" },
  { endpointId: ENDPOINT_ID, eventId: "evt_a" },
]
  .flatMap((of) => combinations({ state: "dead" as const, ...TIMES }).map((filter) => ({ ...of, ...filter })))
  .map((filter) => ({ tenant: TENANT, ...filter }));

/** A database that tells each statement that is prepared. */
function createRecording(): { readonly raw: DatabaseSync; readonly statements: Set<string> } {
  const raw = new DatabaseSync(":memory:");
  const statements = new Set<string>();
  const prepare = raw.prepare.bind(raw);
  raw.prepare = (sql: string) => {
    statements.add(sql);
    return prepare(sql);
  };
  return { raw, statements };
}

async function openOn(raw: DatabaseSync) {
  const clock = createManualClock(START_MS);
  const drivers = openEmbedded({
    clock,
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(MASTER_KEY),
    database: raw,
  });
  return { clock, drivers };
}

/** Both pages of a list: with a cursor it asks another statement. */
async function twoPages(list: (cursor: string | null) => Promise<{ readonly next: string | null }>): Promise<void> {
  const { next } = await list(null);
  if (next !== null) await list(next);
}

async function writeSome({
  lanes,
  directory,
  deadLetters,
  ledger,
  retryQueue,
  apiKeys,
  claims,
  cancellations,
  begunAttempts,
  stats,
}: EmbeddedDrivers) {
  const envelopes = ["evt_a", "evt_b", "evt_c"].map((id) => sampleEnvelope(id));
  await lanes.append(envelopes);
  await directory.create(sampleEndpoint(ENDPOINT_ID));
  await directory.create(sampleEndpoint("ep_01kg9bqf00bbbbbbbbbbbbbbbb"));
  await directory.update(TENANT, ENDPOINT_ID, (endpoint) => endpoint);
  await deadLetters.append(
    envelopes.map((envelope, index) => sampleDeadLetter(`dlv_${index}`, { envelope, state: "paused" })),
  );
  await deadLetters.removeDelivered([{ tenant: TENANT, eventId: "evt_none", endpointId: ENDPOINT_ID, atMs: START_MS }]);
  ledger.record(envelopes.map((envelope) => ({ kind: "delivery", delivery: sampleRecord(envelope) })));
  await retryQueue.schedule([sampleScheduled(envelopes)]);
  await apiKeys.save(sampleKey("a"));
  await apiKeys.save(sampleKey("b"));
  const key = { tenant: TENANT, key: "id:evt_a" };
  await claims.claim({ ...key, fingerprint: "f", eventIds: ["evt_a"], acceptedAtMs: START_MS });
  const begun = { tenant: TENANT, eventId: "evt_a", endpointId: ENDPOINT_ID, generation: 0, attempt: 1 };
  await begunAttempts.begin([begun]);
  await begunAttempts.unended(begun);
  await begunAttempts.end([begun]);
  await claims.abandon(key.tenant, key.key);
  await claims.complete(key.tenant, key.key, { status: 202, body: "{}" });
  const planned = { tenant: TENANT, id: "evt_a", acceptedAtMs: START_MS, deliverAtMs: START_MS + 1 };
  await cancellations.cancel(planned);
  await cancellations.begin({ ...planned, id: "evt_b" });
  stats.add([{ kind: "accepted", tenant: TENANT, type: "order.paid", lane: "medium", atMs: START_MS }]);
}

async function readAll({ deadLetters, ledger, directory, apiKeys, stats, lanes }: EmbeddedDrivers): Promise<void> {
  for (const filter of DEAD_LETTER_FILTERS) {
    await twoPages((cursor) => deadLetters.list(filter, 1, cursor));
    await deadLetters.count(filter);
  }
  for (const filter of EVENT_FILTERS) await twoPages((cursor) => ledger.events(filter, 1, cursor));
  for (const filter of DELIVERY_FILTERS) {
    await twoPages((cursor) => ledger.deliveries(filter, 1, cursor));
    await twoPages((cursor) => ledger.attempts(filter, 1, cursor));
    for (const outcome of [...ATTEMPT_OUTCOMES, "failed"] as const) {
      await twoPages((cursor) => ledger.attempts({ ...filter, outcome }, 1, cursor));
    }
    for (const result of ["4xx", "timeout"] as const) {
      await twoPages((cursor) => ledger.attempts({ ...filter, result }, 1, cursor));
    }
  }
  for (const tenant of [null, TENANT]) {
    await twoPages((cursor) => directory.list({ tenant }, 1, cursor));
    await twoPages((cursor) => directory.list({ tenant, status: "paused" }, 1, cursor));
    await twoPages((cursor) => apiKeys.list(tenant, 1, cursor));
  }
  await stats.tenant(TENANT);
  await stats.flow();
  await stats.endpoint(TENANT, ENDPOINT_ID);
  await lanes.depth("high");
}

interface PlanLine {
  readonly detail: string;
}

/**
 * What of the plan looks at a whole table or index, or sorts. A walk in the order of an index that LIMIT ends does not. What a list begins or
 * ends at must bound the search by every column of its order: by the first alone it looks at all rows that have the same time, and a million may.
 */
function faultsOf(raw: DatabaseSync, sql: string): readonly string[] {
  if (!/^\s*(WITH|SELECT|UPDATE|DELETE|INSERT)/i.test(sql)) return [];
  const plan = (raw.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as unknown as PlanLine[]).map(({ detail }) => detail);
  const isEnded = /LIMIT (\?|\d)/.test(sql) && /ORDER BY/.test(sql);
  const looks = plan.filter((detail) => {
    if (detail === "SCAN CONSTANT ROW" || detail.startsWith("SCAN (subquery") || detail === "SCAN h") return false;
    if (detail.startsWith("SCAN")) return !isEnded || !detail.includes("USING");
    return detail.includes("TEMP B-TREE");
  });
  const bounds = boundsOf(sql).filter((bound) => !plan.some((detail) => bound.test(detail)));
  return [...looks, ...bounds.map((bound) => `${String(bound)} does not bound the search: ${plan.join(" | ")}`)];
}

/** Of columns that are compared together, and of one of the order beside an equal time; as the plan shows them. */
function boundsOf(sql: string): readonly RegExp[] {
  const together = [...sql.matchAll(/\(([\w.]+(?:, [\w.]+)+)\) ([<>])=? \(/g)].map(
    ([, columns = "", sign = ""]) => new RegExp(`\\(${columns.replaceAll(/\w+\.|\s/g, "")}\\)${sign}`),
  );
  const [, ...ordered] = (/ORDER BY (.*?)(?: LIMIT|\)|$)/.exec(sql)?.[1] ?? "").split(", ");
  const alone = ordered.flatMap((term) => {
    const column = term.replace(/ DESC$/, "");
    const compared = [...sql.matchAll(new RegExp(`(?<![\\w+.(])${RegExp.escape(column)} ([<>])=? \\?`, "g"))];
    return compared.map(([, sign = ""]) => new RegExp(`\\b(?:${column.replace(/^\w+\./, "")}|rowid)${sign}\\?`));
  });
  return [...together, ...alone];
}

test("no statement of the embedded set looks at a whole table or sorts one, but those that are named with a reason", async () => {
  const { raw, statements } = createRecording();
  const first = await openOn(raw);
  await writeSome(first.drivers);
  await readAll(first.drivers);
  await first.clock.advance(26 * 3600 * 1000);
  await first.drivers[Symbol.asyncDispose]();
  const second = await openOn(raw);
  await second.drivers[Symbol.asyncDispose]();

  const used = new Set<string>();
  const faults = [...statements].flatMap((sql) => {
    const found = faultsOf(raw, sql);
    const reason = Object.keys(EXEMPT).find((part) => `${sql.replaceAll(/\s+/g, " ")};`.includes(part));
    if (found.length > 0 && reason !== undefined) used.add(reason);
    return found.length === 0 || reason !== undefined ? [] : [`${sql.replaceAll(/\s+/g, " ")} => ${found.join("; ")}`];
  });
  assert.deepEqual(faults, []);
  const byType = [...statements].filter((sql) => /^\s*SELECT[^]*FROM deliveries d[^]*type = \?/.test(sql));
  assert.ok(byType.length > 0);
  for (const sql of byType) {
    const plan = raw.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as unknown as PlanLine[];
    const isFromIndex = plan.some(({ detail }) => /COVERING INDEX events_by_tenant \(.*id=\?/.test(detail));
    assert.ok(isFromIndex, `the type is read without the event's row: ${sql}`);
  }
  assert.deepEqual([...used].toSorted(), Object.keys(EXEMPT).toSorted(), "every exemption is still needed");
  assert.ok(statements.size > 100, "the statements of all stores are explained");
  raw.close();
});
