/**
 * Cursors that somebody changed: each is refused by name, or goes on somewhere in the same list. Never an unexpected error, a
 * row of another tenant or a list without an end.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Page } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { OpenHarness } from "./harness.ts";
import { ENDPOINT_ID, START_MS, sampleDeadLetter, sampleEndpoint, sampleKey } from "../support/samples.ts";
import { sampleEnvelope, sampleRecord } from "../support/samples.ts";

const TENANTS = ["acme", "acmf", "globex"] as const;
const TENANT = TENANTS[0];
/** Of each tenant in each list. */
const ROWS = 5;
const PAGE = 2;

type Read = (cursor: string | null) => Promise<Page<{ readonly tenant: string }>>;

const lists: Readonly<Record<string, (drivers: Drivers) => Read>> = {
  events: withTenant(
    ({ ledger }, cursor) => ledger.events({ tenant: TENANT }, PAGE, cursor),
    ({ envelope }) => envelope,
  ),
  "events to an endpoint": withTenant(
    ({ ledger }, cursor) => ledger.events({ tenant: TENANT, endpointId: ENDPOINT_ID }, PAGE, cursor),
    ({ envelope }) => envelope,
  ),
  "events of every tenant": withTenant(
    ({ ledger }, cursor) => ledger.events({ tenant: null }, PAGE, cursor),
    () => ({ tenant: TENANT }),
  ),
  deliveries: withTenant(
    ({ ledger }, cursor) => ledger.deliveries({ tenant: TENANT, endpointId: ENDPOINT_ID }, PAGE, cursor),
    (row) => row,
  ),
  attempts: withTenant(
    ({ ledger }, cursor) => ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID }, PAGE, cursor),
    (row) => row,
  ),
  "dead letters": withTenant(
    ({ deadLetters }, cursor) => deadLetters.list({ tenant: TENANT }, PAGE, cursor),
    (row) => row.envelope,
  ),
  endpoints: withTenant(
    ({ directory }, cursor) => directory.list({ tenant: TENANT }, PAGE, cursor),
    (row) => row,
  ),
  "active endpoints": withTenant(
    ({ directory }, cursor) => directory.list({ tenant: TENANT, status: "active" }, PAGE, cursor),
    (row) => row,
  ),
  "API keys": withTenant(
    ({ apiKeys }, cursor) => apiKeys.list(TENANT, PAGE, cursor),
    (row) => ({ tenant: row.tenant ?? "" }),
  ),
};

function withTenant<Row>(
  list: (drivers: Drivers, cursor: string | null) => Promise<Page<Row>>,
  named: (row: Row) => { readonly tenant: string },
): (drivers: Drivers) => Read {
  return (drivers) => async (cursor) => {
    const { rows, next } = await list(drivers, cursor);
    return { rows: rows.map((row) => ({ tenant: named(row).tenant })), next };
  };
}

async function fill({ lanes, ledger, deadLetters, directory, apiKeys, flush }: Drivers): Promise<void> {
  for (const tenant of TENANTS) {
    const times = Array.from({ length: ROWS }, (_, index) => START_MS + index);
    const envelopes = times.map((acceptedAtMs, index) =>
      sampleEnvelope(`evt_${tenant}${index}`, { tenant, acceptedAtMs }),
    );
    await lanes.append(envelopes);
    ledger.record(envelopes.map((envelope) => ({ kind: "delivery", delivery: sampleRecord(envelope) })));
    await deadLetters.append(
      times.map((atMs, index) =>
        sampleDeadLetter(`dlv_${tenant}${index}`, {
          atMs,
          envelope: sampleEnvelope(`evt_${tenant}${index}`, { tenant }),
        }),
      ),
    );
    for (const [index, createdAtMs] of times.entries()) {
      await directory.create(sampleEndpoint(`ep_${tenant}${index}`, { tenant, createdAtMs }));
      await apiKeys.save(sampleKey(`key_${tenant}${index}`, { tenant, createdAtMs }));
    }
  }
  await flush();
}

/** Each single character changed into others, left out or doubled, of the cursor and of what it stands for. */
export function changesOf(cursor: string): readonly string[] {
  const bytes = Buffer.from(cursor, "base64url");
  const flipped = [...bytes.keys()].flatMap((at) =>
    [0x01, 0x02, 0x10, 0x80].map((bit) => {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ bit;
      return copy.toString("base64url");
    }),
  );
  const replaced = cursor
    .split("")
    .flatMap((char, at) =>
      ["A", "z", "9", "_", "-", "=", "+", " ", "\0", "", char + char].map(
        (other) => cursor.slice(0, at) + other + cursor.slice(at + 1),
      ),
    );
  return [...new Set([...flipped, ...replaced])].filter((changed) => changed !== cursor);
}

/** Reads on from each changed cursor to the end. `isOurs` tells whether a row may be in the list at all. */
export async function assertCursorsHold<Row>(list: {
  readonly read: (cursor: string | null) => Promise<Page<Row>>;
  readonly isOurs: (row: Row) => boolean;
  readonly pagesMax: number;
}): Promise<void> {
  const { read, isOurs, pagesMax } = list;
  const { next: good } = await read(null);
  assert.ok(good !== null, "there is a second page");
  for (const changed of changesOf(good)) {
    let cursor: string | null = changed;
    for (let page = 0; cursor !== null; page++) {
      assert.ok(page < pagesMax, `${changed} has no end`);
      const found: Page<Row> | null = await orRefused(read(cursor));
      if (found === null) break;
      assert.ok(found.rows.every(isOurs), changed);
      cursor = found.next;
    }
  }
}

/** Null for `invalid-cursor`; any other error is thrown. */
async function orRefused<Found>(reading: Promise<Found>): Promise<Found | null> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof PosthasteError) || error.code !== "invalid-cursor") throw error;
    return null;
  }
}

export function cursorsContract(name: string, open: OpenHarness): void {
  for (const [list, readOf] of Object.entries(lists)) {
    test(`${name} cursors: a changed cursor of ${list} is refused, or stays in the list and comes to its end`, async () => {
      await using harness = await open();
      await fill(harness.drivers);
      await assertCursorsHold({
        read: readOf(harness.drivers),
        isOurs: ({ tenant }) => tenant === TENANT,
        // However far back the changed cursor leads, the rows are as many as before.
        pagesMax: TENANTS.length * ROWS + 1,
      });
    });
  }
}
