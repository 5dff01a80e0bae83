/** What every implementation of the port `ledger` promises of its lists: events by state and endpoint, attempts by outcome. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import { DELIVERY_STATES, UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { EVENT_STATES, eventStanding } from "@posthaste/shared/domain/event-state.ts";
import { cancelledFanOut } from "@posthaste/shared/ports/ledger.ts";
import type { AttemptFilter, DeliveryRecord, EventFilter, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { Harness, OpenHarness } from "./harness.ts";
import { readAll, withCode } from "./harness.ts";
import { ENDPOINT_ID, START_MS, TENANT, sampleEnvelope, sampleRecord } from "../support/samples.ts";
import { seededEntropy } from "../support/ambient.ts";

const FAILED: AttemptResult = { kind: "fault", fault: "timeout", detail: "no answer", durationMs: 15_000 };
const answered = (status: number): AttemptResult => {
  return { kind: "answered", status, retryAfter: null, bodyExcerpt: '"status":200', isBodyCut: false, durationMs: 1 };
};

const delivery = (envelope: Envelope, parts: Partial<DeliveryRecord>): LedgerEntry => ({
  kind: "delivery",
  delivery: sampleRecord(envelope, { result: null, ...parts }),
});

function fanOut({ tenant, id }: Envelope, matched: readonly string[], matchedCount = matched.length): LedgerEntry {
  const counts = { matchedCount, filtered: [], filteredCount: 0 };
  return { kind: "fan-out", fanOut: { tenant, eventId: id, atMs: START_MS + 1, matched, ...counts } };
}

async function idsOf({ drivers }: Harness, filter: EventFilter, limit = 100): Promise<readonly string[]> {
  const pages = await readAll((cursor) => drivers.ledger.events(filter, limit, cursor));
  return pages.flat().map(({ envelope }) => envelope.id);
}

export function ledgerListsContract(name: string, open: OpenHarness): void {
  test(`${name} ledger: a success of a copy is shown, and makes the event delivered, although the other copy died`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    const died = (atMs: number) => delivery(envelope, { state: "dead", attempt: 2, result: FAILED, atMs });
    const success = delivery(envelope, { state: "delivered", attempt: 2, result: answered(200), atMs: START_MS + 9 });
    harness.drivers.ledger.record([died(START_MS), success, died(START_MS + 10)]);
    const { rows } = await harness.drivers.ledger.deliveries({ tenant: TENANT, eventId: "evt_a" }, 10, null);
    assert.deepEqual(
      rows.map(({ state, attempts, updatedAtMs }) => [state, attempts, updatedAtMs]),
      [["delivered", 2, START_MS + 9]],
    );
    assert.deepEqual(await idsOf(harness, { tenant: TENANT, state: "delivered" }), ["evt_a"]);
    assert.deepEqual(await idsOf(harness, { tenant: TENANT, state: "dead" }), []);
  });

  test(`${name} ledger: events() shows each event in its state, and filters by it`, async () => {
    await using harness = await open();
    const [waiting, one, some, none, nobody] = ["a", "b", "c", "d", "e"].map((id) => sampleEnvelope(`evt_${id}`));
    assert.ok(waiting && one && some && none && nobody);
    await harness.drivers.lanes.append([waiting, one, some, none, nobody]);
    harness.drivers.ledger.record([
      delivery(one, { state: "delivered" }),
      fanOut(some, ["ep_one", "ep_two"]),
      delivery(some, { endpointId: "ep_one", state: "delivered" }),
      delivery(some, { endpointId: "ep_two", state: "dead" }),
      fanOut(none, ["ep_one"]),
      delivery(none, { endpointId: "ep_one", state: "expired" }),
      fanOut(nobody, []),
    ]);
    const { rows } = await harness.drivers.ledger.events({ tenant: TENANT }, 10, null);
    assert.deepEqual(Object.fromEntries(rows.map(({ envelope, state }) => [envelope.id, state])), {
      evt_a: "pending",
      evt_b: "delivered",
      evt_c: "partial",
      evt_d: "dead",
      evt_e: "filtered",
    });
    assert.deepEqual(await idsOf(harness, { tenant: TENANT, state: "partial" }), ["evt_c"]);
    assert.deepEqual(await idsOf(harness, { tenant: null, state: "filtered" }), ["evt_e"]);
    assert.deepEqual(await idsOf(harness, { tenant: TENANT, state: "dead", type: "no.such" }), []);
    assert.deepEqual(await idsOf(harness, { tenant: "globex", state: "pending" }), []);
  });

  test(`${name} ledger: events() by state finds what eventStanding says of any history, page by page`, async () => {
    await using harness = await open();
    const { ledger } = harness.drivers;
    const entropy = seededEntropy(7);
    const oneOf = <Value>(values: readonly [Value, ...Value[]]): Value =>
      values[Math.floor(entropy.fraction() * values.length)] ?? values[0];
    const envelopes = Array.from({ length: 120 }, (_, index) =>
      sampleEnvelope(`evt_${index}`, { acceptedAtMs: START_MS + index * oneOf([0, 1]) }),
    );
    await harness.drivers.lanes.append(envelopes);
    for (const envelope of envelopes) {
      const matched = oneOf([null, null, [], ["ep_a"], ["ep_a", "ep_b"]]);
      const deliveries = Array.from({ length: oneOf([0, 1, 1, 2, 2, 3]) }, () =>
        delivery(envelope, {
          endpointId: oneOf(["ep_a", "ep_a", "ep_b", "ep_c", UNKNOWN_ENDPOINT]),
          generation: oneOf([0, 0, START_MS, START_MS + 5]),
          state: oneOf(["delivered", "dead", ...DELIVERY_STATES]),
        }),
      );
      const extra = oneOf([0, 0, 1]);
      if (matched?.length === 0 && oneOf([true, false])) {
        ledger.record([{ kind: "fan-out", fanOut: cancelledFanOut(envelope, START_MS + 1) }]);
        if (oneOf([true, false])) continue;
      }
      ledger.record([...(matched === null ? [] : [fanOut(envelope, matched, matched.length + extra)]), ...deliveries]);
    }
    const expected = new Map<string, string>();
    for (const { id } of envelopes) {
      const record = await ledger.event(TENANT, id);
      const { rows } = await ledger.deliveries({ tenant: TENANT, eventId: id }, 100, null);
      expected.set(id, eventStanding(record?.fanOut ?? null, rows).state);
    }
    assert.ok(new Set(expected.values()).size >= 5, "the histories lead to most states");
    const listed = await readAll((cursor) => ledger.events({ tenant: TENANT }, 50, cursor));
    assert.deepEqual(new Map(listed.flat().map(({ envelope, state }) => [envelope.id, state])), expected);
    for (const state of EVENT_STATES) {
      const wanted = [...expected].filter(([, each]) => each === state).map(([id]) => id);
      const found = await idsOf(harness, { tenant: TENANT, state }, 7);
      assert.deepEqual(found.toSorted(), wanted.toSorted(), state);
    }
  });

  test(`${name} ledger: events() of an endpoint are those of which it has a delivery, each once, newest first`, async () => {
    await using harness = await open();
    const envelopes = [2, 1, 2, 2, 3].map((wait, index) =>
      sampleEnvelope(`evt_${index}`, { acceptedAtMs: START_MS + wait }),
    );
    const other = sampleEnvelope("evt_other");
    const foreign = sampleEnvelope("evt_0", { tenant: "globex" });
    await harness.drivers.lanes.append([...envelopes, other, foreign]);
    harness.drivers.ledger.record([
      ...envelopes.map((envelope) => delivery(envelope, { state: "dead" })),
      ...envelopes.map((envelope) => delivery(envelope, { state: "delivered", generation: START_MS + 50 })),
      delivery(other, { endpointId: "ep_other" }),
      delivery(foreign, { endpointId: "ep_foreign" }),
    ]);
    const filter = { tenant: TENANT, endpointId: ENDPOINT_ID };
    const pages = await readAll((cursor) => harness.drivers.ledger.events(filter, 2, cursor));
    assert.deepEqual(
      pages.flat().map(({ envelope }) => envelope.acceptedAtMs - START_MS),
      [3, 2, 2, 2, 1],
    );
    assert.equal(new Set(pages.flat().map(({ envelope }) => envelope.id)).size, 5);
    assert.deepEqual(await idsOf(harness, { ...filter, sinceMs: START_MS + 3 }), ["evt_4"]);
    assert.deepEqual(await idsOf(harness, { ...filter, untilMs: START_MS + 2 }), ["evt_1"]);
    assert.deepEqual(await idsOf(harness, { ...filter, state: "dead" }), []);
    assert.equal((await idsOf(harness, { ...filter, state: "delivered", type: "order.paid" })).length, 5);
    assert.deepEqual(await idsOf(harness, { ...filter, tenant: "globex" }), []);
    const { next } = await harness.drivers.ledger.events(filter, 1, null);
    await assert.rejects(harness.drivers.ledger.events({ tenant: TENANT }, 1, next), withCode("invalid-cursor"));
  });

  const attemptFilters: readonly (readonly [Pick<AttemptFilter, "outcome" | "result">, readonly string[]])[] = [
    [{ outcome: "delivered" }, ["evt_good 2"]],
    [{ outcome: "dead" }, ["evt_bad 3"]],
    [{ outcome: "retry" }, ["evt_bad 1", "evt_bad 2", "evt_good 1"]],
    [{ outcome: "failed" }, ["evt_bad 1", "evt_bad 2", "evt_bad 3", "evt_good 1"]],
    [{ result: "2xx" }, ["evt_good 2"]],
    [{ result: "4xx" }, ["evt_bad 2"]],
    [{ result: "5xx" }, ["evt_bad 3", "evt_good 1"]],
    [{ result: "timeout" }, ["evt_bad 1"]],
    [{ result: "dns" }, []],
    [{ outcome: "retry", result: "5xx" }, ["evt_good 1"]],
  ];
  for (const [filter, expected] of attemptFilters) {
    test(`${name} ledger: attempts() by ${JSON.stringify(filter)}, of an endpoint and of an event`, async () => {
      await using harness = await open();
      const [good, bad] = [sampleEnvelope("evt_good"), sampleEnvelope("evt_bad")];
      await harness.drivers.lanes.append([good, bad]);
      harness.drivers.ledger.record([
        delivery(good, { state: "retrying", attempt: 1, result: answered(503) }),
        delivery(good, { state: "delivered", attempt: 2, result: answered(204) }),
        delivery(bad, { state: "retrying", attempt: 1, result: FAILED }),
        delivery(bad, { state: "retrying", attempt: 2, result: answered(404) }),
        delivery(bad, { state: "dead", attempt: 3, result: answered(500) }),
      ]);
      const found = async (of: { endpointId: string } | { eventId: string }): Promise<readonly string[]> => {
        const list = harness.drivers.ledger.attempts;
        const pages = await readAll((cursor) => list({ tenant: TENANT, ...of, ...filter }, 2, cursor));
        const rows = pages.flat();
        if (filter.outcome !== undefined && filter.outcome !== "failed") {
          assert.ok(rows.every(({ outcome }) => outcome === filter.outcome));
        }
        return rows.map(({ eventId, attempt }) => `${eventId} ${attempt}`).toSorted();
      };
      assert.deepEqual(await found({ endpointId: ENDPOINT_ID }), expected);
      const ofBad = expected.filter((text) => text.startsWith("evt_bad"));
      assert.deepEqual(await found({ eventId: "evt_bad" }), ofBad);
    });
  }
}
