/** What every implementation of the port `ledger` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { DeliveryRecord, DeliveryFilter, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { OpenHarness } from "./harness.ts";
import { readAll, withCode } from "./harness.ts";
import { SAMPLE_TRACE, ENDPOINT_ID, START_MS, TENANT, sampleEnvelope, sampleRecord } from "../support/samples.ts";

const FAILED: AttemptResult = {
  kind: "fault",
  fault: "timeout",
  detail: "no answer within 15000 ms",
  durationMs: 15_000,
};

const OF_ENDPOINT = { tenant: TENANT, endpointId: ENDPOINT_ID };

const delivery = (record: DeliveryRecord): LedgerEntry => ({ kind: "delivery", delivery: record });

export function ledgerContract(name: string, open: OpenHarness): void {
  test(`${name} ledger: an event is visible as soon as its lane append resolved`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a", { ...SAMPLE_TRACE });
    await harness.drivers.lanes.append([envelope]);
    assert.deepEqual(await harness.drivers.ledger.event(TENANT, "evt_a"), { envelope, fanOut: null });
  });

  test(`${name} ledger: event() is null for another tenant's event and for what was never accepted`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    assert.equal(await harness.drivers.ledger.event("globex", "evt_a"), null);
    assert.equal(await harness.drivers.ledger.event(TENANT, "evt_b"), null);
  });

  test(`${name} ledger: a fan-out is read right after it was recorded, and with it its ids and counts`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    const fanOut = {
      tenant: TENANT,
      eventId: "evt_a",
      atMs: START_MS + 5,
      matched: ["ep_one", "ep_two"],
      matchedCount: 200,
      filtered: ["ep_three"],
      filteredCount: 1,
    };
    harness.drivers.ledger.record([{ kind: "fan-out", fanOut }]);
    assert.deepEqual((await harness.drivers.ledger.event(TENANT, "evt_a"))?.fanOut, fanOut);
  });

  test(`${name} ledger: a delivery and its attempt are read right after they were recorded`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([delivery(sampleRecord(envelope, { groupId: "grp_1", reason: "why" }))]);
    const key = { tenant: TENANT, eventId: "evt_a", endpointId: ENDPOINT_ID, generation: 0, acceptedAtMs: START_MS };
    const deliveries = await harness.drivers.ledger.deliveries(OF_ENDPOINT, 10, null);
    const state = {
      state: "delivered",
      attempts: 1,
      updatedAtMs: START_MS + 100,
      nextAttemptAtMs: null,
      reason: "why",
      wait: null,
      times: null,
    };
    assert.deepEqual(deliveries.rows, [{ ...key, ...state }]);
    const attempts = await harness.drivers.ledger.attempts(OF_ENDPOINT, 10, null);
    const { result } = sampleRecord(envelope);
    const outcome = "delivered";
    const rest = {
      eventType: "order.paid",
      outcome,
      attempt: 1,
      atMs: START_MS + 100,
      result,
      groupId: "grp_1",
      reason: "why",
    };
    assert.deepEqual(attempts.rows, [{ ...key, ...rest }]);
  });

  test(`${name} ledger: answers and faults come back as they were`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    const results: AttemptResult[] = [
      FAILED,
      { kind: "answered", status: 503, retryAfter: "120", bodyExcerpt: "später …", isBodyCut: true, durationMs: 0.25 },
    ];
    const entries = results.map((result, index) =>
      delivery(sampleRecord(envelope, { state: "retrying", attempt: index + 1, atMs: START_MS + index, result })),
    );
    harness.drivers.ledger.record(entries);
    const { rows } = await harness.drivers.ledger.attempts(OF_ENDPOINT, 10, null);
    assert.deepEqual(
      rows.map(({ result }) => result),
      results.toReversed(),
    );
  });

  test(`${name} ledger: a state change without a result makes no attempt`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([delivery(sampleRecord(envelope, { state: "pending", attempt: 0, result: null }))]);
    assert.equal((await harness.drivers.ledger.deliveries(OF_ENDPOINT, 10, null)).rows.length, 1);
    assert.equal((await harness.drivers.ledger.attempts(OF_ENDPOINT, 10, null)).rows.length, 0);
  });

  test(`${name} ledger: what was flushed survives a crash`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([delivery(sampleRecord(envelope))]);
    await harness.drivers.flush();
    await harness.reopen();
    assert.equal((await harness.drivers.ledger.deliveries(OF_ENDPOINT, 10, null)).rows[0]?.state, "delivered");
  });

  test(`${name} ledger: a delivery does not leave a final state`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([
      delivery(sampleRecord(envelope, { state: "delivered", attempt: 2 })),
      delivery(sampleRecord(envelope, { state: "retrying", attempt: 3, result: FAILED })),
    ]);
    const { rows } = await harness.drivers.ledger.deliveries(OF_ENDPOINT, 10, null);
    assert.deepEqual(
      rows.map(({ state, attempts }) => [state, attempts]),
      [["delivered", 2]],
    );
  });

  test(`${name} ledger: a delivery does not go back to an older attempt or to pending`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([
      delivery(
        sampleRecord(envelope, { state: "retrying", attempt: 3, result: FAILED, nextAttemptAtMs: START_MS + 9 }),
      ),
      delivery(
        sampleRecord(envelope, { state: "retrying", attempt: 2, result: FAILED, nextAttemptAtMs: START_MS + 5 }),
      ),
      delivery(sampleRecord(envelope, { state: "pending", attempt: 3, result: null })),
    ]);
    const { rows } = await harness.drivers.ledger.deliveries(OF_ENDPOINT, 10, null);
    assert.deepEqual(
      rows.map((row) => [row.state, row.attempts, row.nextAttemptAtMs]),
      [["retrying", 3, START_MS + 9]],
    );
  });

  test(`${name} ledger: what was held back goes on in its own generation`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([
      delivery(sampleRecord(envelope, { state: "retrying", attempt: 1, result: FAILED })),
      delivery(sampleRecord(envelope, { state: "paused", attempt: 1, result: null, reason: "the endpoint is paused" })),
      delivery(sampleRecord(envelope, { state: "delivered", attempt: 2 })),
    ]);
    const { rows } = await harness.drivers.ledger.deliveries(OF_ENDPOINT, 10, null);
    assert.deepEqual(
      rows.map(({ state, attempts }) => [state, attempts]),
      [["delivered", 2]],
    );
  });

  test(`${name} ledger: a replay's first word that comes late takes back nothing of what became of it`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    const replayedAtMs = START_MS + 500;
    const replay = { generation: replayedAtMs, attempt: 0, result: null } as const;
    const states = ["paused", "pending"] as const;
    for (const state of states) {
      const endpointId = `ep_${state}`;
      const news = { ...replay, endpointId, state, atMs: replayedAtMs + 10, reason: "news" } as const;
      const beginning = { ...news, state: "pending", atMs: replayedAtMs, reason: "replayed by hand" } as const;
      harness.drivers.ledger.record([delivery(sampleRecord(envelope, beginning))]);
      harness.drivers.ledger.record([delivery(sampleRecord(envelope, news))]);
      harness.drivers.ledger.record([delivery(sampleRecord(envelope, beginning))]);
    }
    const { rows } = await harness.drivers.ledger.deliveries({ tenant: TENANT, eventId: "evt_a" }, 10, null);
    const found = new Map(rows.map(({ state, reason }) => [state, reason]));
    assert.deepEqual(found, new Map(states.map((state) => [state, "news"])));
  });

  test(`${name} ledger: a later record of the same attempt replaces it`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([
      delivery(sampleRecord(envelope, { state: "retrying", result: FAILED })),
      delivery(sampleRecord(envelope, { state: "delivered" })),
    ]);
    const { rows } = await harness.drivers.ledger.attempts(OF_ENDPOINT, 10, null);
    assert.deepEqual(
      rows.map(({ attempt, result }) => [attempt, result.kind]),
      [[1, "answered"]],
    );
  });

  test(`${name} ledger: a replay's generation is a delivery of its own`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([
      delivery(sampleRecord(envelope, { state: "dead", attempt: 10, result: FAILED })),
      delivery(sampleRecord(envelope, { generation: START_MS + 7 })),
    ]);
    const { rows } = await harness.drivers.ledger.deliveries({ tenant: TENANT, eventId: "evt_a" }, 10, null);
    assert.deepEqual(
      new Map(rows.map((row) => [row.generation, row.state])),
      new Map([
        [0, "dead"],
        [START_MS + 7, "delivered"],
      ]),
    );
  });

  test(`${name} ledger: an entry about an unknown event changes nothing and harms no other`, async () => {
    await using harness = await open();
    const known = sampleEnvelope("evt_known");
    await harness.drivers.lanes.append([known]);
    harness.drivers.ledger.record([
      delivery(sampleRecord(sampleEnvelope("evt_unknown"))),
      delivery(sampleRecord(known)),
    ]);
    const { rows } = await harness.drivers.ledger.deliveries(OF_ENDPOINT, 10, null);
    assert.deepEqual(
      rows.map(({ eventId }) => eventId),
      ["evt_known"],
    );
  });

  test(`${name} ledger: isCompleted() knows completed attempts only, each generation for itself`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    const key = { tenant: TENANT, eventId: "evt_a", endpointId: ENDPOINT_ID, generation: 0, acceptedAtMs: START_MS };
    const { ledger } = harness.drivers;
    assert.equal(await ledger.isCompleted(key, 1), false);
    ledger.record([delivery(sampleRecord(envelope, { state: "pending", attempt: 0, result: null }))]);
    assert.equal(await ledger.isCompleted(key, 1), false);
    ledger.record([delivery(sampleRecord(envelope, { state: "retrying", attempt: 2, result: FAILED }))]);
    assert.deepEqual([await ledger.isCompleted(key, 1), await ledger.isCompleted(key, 2)], [true, true]);
    assert.equal(await ledger.isCompleted(key, 3), false);
    assert.equal(await ledger.isCompleted({ ...key, generation: 5 }, 1), false);
    assert.equal(await ledger.isCompleted({ ...key, endpointId: "ep_other" }, 1), false);
  });

  test(`${name} ledger: isCompleted() says nothing of an event of the same id that was accepted at another time`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([delivery(sampleRecord(envelope))]);
    const key = { tenant: TENANT, eventId: "evt_a", endpointId: ENDPOINT_ID, generation: 0 };
    const { ledger } = harness.drivers;
    assert.equal(await ledger.isCompleted({ ...key, acceptedAtMs: START_MS }, 1), true);
    assert.equal(await ledger.isCompleted({ ...key, acceptedAtMs: START_MS + 1 }, 1), false);
    assert.equal(await ledger.isCompleted({ ...key, acceptedAtMs: START_MS + 1 }, 0), false);
  });

  test(`${name} ledger: isCompleted() is true for every attempt of a delivery that is over`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    harness.drivers.ledger.record([delivery(sampleRecord(envelope, { state: "dead", attempt: 1, result: FAILED }))]);
    const key = { tenant: TENANT, eventId: "evt_a", endpointId: ENDPOINT_ID, generation: 0, acceptedAtMs: START_MS };
    assert.equal(await harness.drivers.ledger.isCompleted(key, 2), true);
  });

  test(`${name} ledger: events() is newest first by acceptance and pages without gap or repeat`, async () => {
    await using harness = await open();
    const waits = [300, 100, 200, 200, 200, 0, 400];
    await harness.drivers.lanes.append(
      waits.map((wait, index) => sampleEnvelope(`evt_${index}`, { acceptedAtMs: START_MS + wait })),
    );
    const pages = await readAll((cursor) => harness.drivers.ledger.events({ tenant: TENANT }, 3, cursor));
    const rows = pages.flat().map(({ envelope }) => envelope);
    assert.deepEqual(
      pages.map((page) => page.length),
      [3, 3, 1],
    );
    assert.deepEqual(
      rows.map(({ acceptedAtMs }) => acceptedAtMs - START_MS),
      waits.toSorted((a, b) => b - a),
    );
    assert.equal(new Set(rows.map(({ id }) => id)).size, waits.length);
  });

  test(`${name} ledger: events() filters by tenant, type and time`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([
      sampleEnvelope("evt_type", { type: "user.left" }),
      sampleEnvelope("evt_tenant", { tenant: "globex" }),
      sampleEnvelope("evt_late", { acceptedAtMs: START_MS + 1000 }),
    ]);
    const ids = async (filter: Parameters<typeof harness.drivers.ledger.events>[0]) =>
      (await harness.drivers.ledger.events(filter, 10, null)).rows.map(({ envelope }) => envelope.id);
    assert.deepEqual(await ids({ tenant: "globex" }), ["evt_tenant"]);
    assert.equal((await ids({ tenant: null })).length, 3);
    assert.deepEqual(await ids({ tenant: TENANT, type: "user.left" }), ["evt_type"]);
    assert.deepEqual(await ids({ tenant: TENANT, sinceMs: START_MS + 1000 }), ["evt_late"]);
    assert.deepEqual(await ids({ tenant: TENANT, untilMs: START_MS + 1000 }), ["evt_type"]);
  });

  const filters: readonly [string, DeliveryFilter, readonly string[]][] = [
    ["endpoint", { tenant: TENANT, endpointId: "ep_two" }, ["evt_a ep_two"]],
    ["event", { tenant: TENANT, eventId: "evt_b" }, ["evt_b ep_one"]],
    ["event and endpoint", { tenant: TENANT, eventId: "evt_a", endpointId: "ep_one" }, ["evt_a ep_one"]],
    ["state", { tenant: TENANT, eventId: "evt_a", state: "dead" }, ["evt_a ep_two"]],
    [
      "the event's acceptance",
      { tenant: TENANT, endpointId: "ep_one", sinceMs: START_MS + 1000, untilMs: START_MS + 1001 },
      ["evt_b ep_one"],
    ],
    [
      "acceptance before, exclusive",
      { tenant: TENANT, untilMs: START_MS + 1000, endpointId: "ep_one" },
      ["evt_a ep_one"],
    ],
  ];
  for (const [what, filter, expected] of filters) {
    test(`${name} ledger: deliveries() and attempts() filter by ${what}`, async () => {
      await using harness = await open();
      const [first, second] = [sampleEnvelope("evt_a"), sampleEnvelope("evt_b", { acceptedAtMs: START_MS + 1000 })];
      const foreign = sampleEnvelope("evt_a", { tenant: "globex" });
      await harness.drivers.lanes.append([first, second, foreign]);
      harness.drivers.ledger.record([
        delivery(sampleRecord(first, { endpointId: "ep_one" })),
        delivery(sampleRecord(first, { endpointId: "ep_two", state: "dead", result: FAILED })),
        delivery(sampleRecord(second, { endpointId: "ep_one", atMs: START_MS + 1100 })),
        delivery(sampleRecord(foreign, { endpointId: "ep_foreign", state: "filtered" })),
      ]);
      const deliveries = await harness.drivers.ledger.deliveries(filter, 10, null);
      const attempts = await harness.drivers.ledger.attempts(filter, 10, null);
      assert.deepEqual(
        deliveries.rows.map((row) => `${row.eventId} ${row.endpointId}`),
        expected,
      );
      assert.deepEqual(
        attempts.rows.map((row) => `${row.eventId} ${row.endpointId}`),
        expected,
      );
    });
  }

  test(`${name} ledger: deliveries() and attempts() are newest first and page without gap or repeat`, async () => {
    await using harness = await open();
    const envelopes = [5, 3, 3, 3, 9].map((wait, index) =>
      sampleEnvelope(`evt_${index}`, { acceptedAtMs: START_MS + wait }),
    );
    await harness.drivers.lanes.append(envelopes);
    harness.drivers.ledger.record(
      envelopes.map((envelope) => delivery(sampleRecord(envelope, { atMs: envelope.acceptedAtMs + 50 }))),
    );
    const filter = OF_ENDPOINT;
    const deliveries = await readAll((cursor) => harness.drivers.ledger.deliveries(filter, 2, cursor));
    const attempts = await readAll((cursor) => harness.drivers.ledger.attempts(filter, 2, cursor));
    assert.deepEqual(
      [deliveries, attempts].map((pages) => pages.map((page) => page.length)),
      [
        [2, 2, 1],
        [2, 2, 1],
      ],
    );
    assert.deepEqual(
      attempts.flat().map(({ atMs }) => atMs - START_MS - 50),
      [9, 5, 3, 3, 3],
    );
    assert.deepEqual(
      deliveries
        .flat()
        .map(({ eventId }) => eventId)
        .slice(0, 2),
      ["evt_4", "evt_0"],
    );
    assert.equal(new Set(attempts.flat().map(({ eventId }) => eventId)).size, 5);
  });

  test(`${name} ledger: cursors that are not ours are refused by each list`, async () => {
    await using harness = await open();
    const { ledger } = harness.drivers;
    await assert.rejects(ledger.events({ tenant: TENANT }, 1, "nonsense"), withCode("invalid-cursor"));
    await assert.rejects(ledger.deliveries(OF_ENDPOINT, 1, "nonsense"), withCode("invalid-cursor"));
    await assert.rejects(ledger.attempts(OF_ENDPOINT, 1, "nonsense"), withCode("invalid-cursor"));
  });
}
