/** What every implementation of the port `dead-letters` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeadLetter, DeadLetterFilter } from "@posthaste/shared/ports/dead-letters.ts";
import type { Harness, OpenHarness } from "./harness.ts";
import { readAll, withCode } from "./harness.ts";
import { SAMPLE_TRACE, ENDPOINT_ID, START_MS, TENANT, sampleDeadLetter, sampleEnvelope } from "../support/samples.ts";

const EVERYTHING: DeadLetterFilter = { tenant: null };

async function idsOf(harness: Harness, filter: DeadLetterFilter): Promise<string[]> {
  const { rows } = await harness.drivers.deadLetters.list(filter, 100, null);
  return rows.map(({ id }) => id);
}

function deadLettersAt(count: number, stepMs: number): DeadLetter[] {
  return Array.from({ length: count }, (_, index) =>
    sampleDeadLetter(`dlv_${index}`, { atMs: START_MS + index * stepMs }),
  );
}

export function deadLettersContract(name: string, open: OpenHarness): void {
  test(`${name} dead letters: find() gives back every field, the body included`, async () => {
    await using harness = await open();
    const deadLetter = sampleDeadLetter("dlv_a", {
      state: "paused",
      generation: START_MS,
      attempts: 0,
      reason: "the endpoint is paused",
      envelope: sampleEnvelope("evt_a", {
        priority: "HIGH",
        deliverAtMs: 5,
        ...SAMPLE_TRACE,
        body: Uint8Array.from({ length: 256 }, (_, byte) => byte),
      }),
    });
    await harness.drivers.deadLetters.append([deadLetter]);
    assert.deepEqual(await harness.drivers.deadLetters.find("dlv_a"), deadLetter);
  });

  test(`${name} dead letters: find() is null for what is not there`, async () => {
    await using harness = await open();
    assert.equal(await harness.drivers.deadLetters.find("dlv_none"), null);
  });

  test(`${name} dead letters: they survive a crash once append() resolved`, async () => {
    await using harness = await open();
    await harness.drivers.deadLetters.append([sampleDeadLetter("dlv_a"), sampleDeadLetter("dlv_b")]);
    await harness.reopen();
    assert.deepEqual((await idsOf(harness, EVERYTHING)).toSorted(), ["dlv_a", "dlv_b"]);
  });

  test(`${name} dead letters: appending a dead letter again changes nothing`, async () => {
    await using harness = await open();
    const deadLetter = sampleDeadLetter("dlv_a");
    await harness.drivers.deadLetters.append([deadLetter]);
    await harness.drivers.deadLetters.append([{ ...deadLetter, atMs: deadLetter.atMs + 1000 }]);
    assert.deepEqual((await harness.drivers.deadLetters.list(EVERYTHING, 10, null)).rows, [deadLetter]);
  });

  test(`${name} dead letters: later news of a delivery replace its dead letter`, async () => {
    await using harness = await open();
    await harness.drivers.deadLetters.append([sampleDeadLetter("dlv_a", { state: "paused", attempts: 1 })]);
    const later = sampleDeadLetter("dlv_a", {
      state: "dead",
      attempts: 10,
      atMs: START_MS + 1000,
      reason: "exhausted",
    });
    await harness.drivers.deadLetters.append([later]);
    assert.deepEqual((await harness.drivers.deadLetters.list(EVERYTHING, 10, null)).rows, [later]);
  });

  test(`${name} dead letters: older news do not replace a dead letter`, async () => {
    await using harness = await open();
    const deadLetter = sampleDeadLetter("dlv_a", { state: "dead", atMs: START_MS + 1000 });
    await harness.drivers.deadLetters.append([deadLetter]);
    await harness.drivers.deadLetters.append([sampleDeadLetter("dlv_a", { state: "paused" })]);
    assert.deepEqual(await harness.drivers.deadLetters.find("dlv_a"), deadLetter);
  });

  test(`${name} dead letters: list() is newest first, whatever the order of append()`, async () => {
    await using harness = await open();
    const [first, second, third] = deadLettersAt(3, 10);
    assert.ok(first && second && third);
    await harness.drivers.deadLetters.append([second, third, first]);
    assert.deepEqual(await idsOf(harness, EVERYTHING), ["dlv_2", "dlv_1", "dlv_0"]);
  });

  test(`${name} dead letters: pages together are the whole list, once each, also within one millisecond`, async () => {
    await using harness = await open();
    await harness.drivers.deadLetters.append([...deadLettersAt(7, 0)]);
    const pages = await readAll((cursor) => harness.drivers.deadLetters.list(EVERYTHING, 3, cursor));
    assert.deepEqual(
      pages.map((page) => page.length),
      [3, 3, 1],
    );
    assert.equal(new Set(pages.flat().map(({ id }) => id)).size, 7);
  });

  test(`${name} dead letters: a full last page says that it is the last`, async () => {
    await using harness = await open();
    await harness.drivers.deadLetters.append(deadLettersAt(4, 1));
    const pages = await readAll((cursor) => harness.drivers.deadLetters.list(EVERYTHING, 2, cursor));
    assert.deepEqual(
      pages.map((page) => page.length),
      [2, 2],
    );
  });

  test(`${name} dead letters: a page is not moved by dead letters that come in between`, async () => {
    await using harness = await open();
    await harness.drivers.deadLetters.append(deadLettersAt(4, 1));
    const first = await harness.drivers.deadLetters.list(EVERYTHING, 2, null);
    await harness.drivers.deadLetters.append([sampleDeadLetter("dlv_new", { atMs: START_MS + 5000 })]);
    const second = await harness.drivers.deadLetters.list(EVERYTHING, 2, first.next);
    assert.deepEqual(
      second.rows.map(({ id }) => id),
      ["dlv_1", "dlv_0"],
    );
  });

  test(`${name} dead letters: a cursor that is not ours is refused`, async () => {
    await using harness = await open();
    for (const cursor of ["", "abc", "%%%", "ZDoxOng", "x".repeat(5000)]) {
      await assert.rejects(
        harness.drivers.deadLetters.list(EVERYTHING, 10, cursor),
        withCode("invalid-cursor"),
        cursor,
      );
    }
  });

  test(`${name} dead letters: a cursor of another list is refused`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a"), sampleEnvelope("evt_b")]);
    const { next } = await harness.drivers.ledger.events({ tenant: TENANT }, 1, null);
    assert.ok(next);
    await assert.rejects(harness.drivers.deadLetters.list(EVERYTHING, 10, next), withCode("invalid-cursor"));
  });

  const filters: readonly [string, DeadLetterFilter, readonly string[]][] = [
    ["tenant", { tenant: "globex" }, ["dlv_globex"]],
    ["endpoint", { tenant: TENANT, endpointId: "ep_two" }, ["dlv_two"]],
    ["event", { tenant: TENANT, eventId: "evt_shared" }, ["dlv_event"]],
    ["event and endpoint", { tenant: TENANT, eventId: "evt_shared", endpointId: "ep_two" }, []],
    ["event type", { tenant: TENANT, eventType: "user.left" }, ["dlv_type"]],
    ["state", { tenant: TENANT, state: "backlog" }, ["dlv_state"]],
    ["time from", { tenant: TENANT, sinceMs: START_MS + 500 }, ["dlv_late"]],
    ["time until, exclusive", { tenant: TENANT, untilMs: START_MS - 499 }, ["dlv_early"]],
    ["both ends of time", { tenant: TENANT, sinceMs: START_MS - 500, untilMs: START_MS }, ["dlv_early"]],
  ];
  for (const [what, filter, expected] of filters) {
    test(`${name} dead letters: list() and count() filter by ${what}`, async () => {
      await using harness = await open();
      await harness.drivers.deadLetters.append([
        sampleDeadLetter("dlv_globex", { envelope: sampleEnvelope("evt_shared", { tenant: "globex" }) }),
        sampleDeadLetter("dlv_two", { endpointId: "ep_two" }),
        sampleDeadLetter("dlv_event", { envelope: sampleEnvelope("evt_shared") }),
        sampleDeadLetter("dlv_type", { envelope: sampleEnvelope("evt_x", { type: "user.left" }) }),
        sampleDeadLetter("dlv_state", { state: "backlog" }),
        sampleDeadLetter("dlv_late", { atMs: START_MS + 500 }),
        sampleDeadLetter("dlv_early", { atMs: START_MS - 500 }),
      ]);
      assert.deepEqual(await idsOf(harness, filter), expected);
      assert.equal(await harness.drivers.deadLetters.count(filter), expected.length);
    });
  }

  test(`${name} dead letters: the operator sees and counts those of all tenants`, async () => {
    await using harness = await open();
    const globex = sampleEnvelope("evt_b", { tenant: "globex" });
    await harness.drivers.deadLetters.append([
      sampleDeadLetter("dlv_a"),
      sampleDeadLetter("dlv_b", { envelope: globex }),
    ]);
    assert.equal((await idsOf(harness, EVERYTHING)).length, 2);
    assert.equal(await harness.drivers.deadLetters.count(EVERYTHING), 2);
  });

  test(`${name} dead letters: remove() takes dead letters out for good and passes over others`, async () => {
    await using harness = await open();
    const deadLetters = deadLettersAt(3, 1);
    await harness.drivers.deadLetters.append(deadLetters);
    const second = deadLetters.filter(({ id }) => id === "dlv_1");
    await harness.drivers.deadLetters.remove([...second, sampleDeadLetter("dlv_none"), ...second]);
    await harness.reopen();
    assert.deepEqual(await idsOf(harness, EVERYTHING), ["dlv_2", "dlv_0"]);
    assert.equal(await harness.drivers.deadLetters.find("dlv_1"), null);
  });

  test(`${name} dead letters: remove() leaves later news of the same delivery`, async () => {
    await using harness = await open();
    const { deadLetters } = harness.drivers;
    const held = sampleDeadLetter("dlv_a", { state: "paused", attempts: 1 });
    const later = sampleDeadLetter("dlv_a", { state: "dead", attempts: 2, atMs: held.atMs + 1 });
    await deadLetters.append([held]);
    await deadLetters.append([later]);
    await deadLetters.remove([held]);
    await harness.reopen();
    assert.deepEqual(await harness.drivers.deadLetters.find("dlv_a"), later);
    await harness.drivers.deadLetters.remove([later]);
    assert.equal(await harness.drivers.deadLetters.find("dlv_a"), null);
  });

  test(`${name} dead letters: removeDelivered() ends all of an event at an endpoint up to then, and says which`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    const globex = sampleEnvelope("evt_a", { tenant: "globex" });
    const own = sampleDeadLetter("dlv_own", { envelope, state: "paused", attempts: 3 });
    const others = [
      sampleDeadLetter("dlv_later", { envelope, generation: START_MS + 1 }),
      sampleDeadLetter("dlv_of_endpoint", { envelope, endpointId: "ep_two" }),
      sampleDeadLetter("dlv_of_event"),
      sampleDeadLetter("dlv_of_tenant", { envelope: globex }),
    ];
    await harness.drivers.deadLetters.append([own, ...others]);
    await harness.drivers.deadLetters.append([sampleDeadLetter("dlv_replay", { envelope, generation: START_MS })]);
    const delivered = { tenant: TENANT, eventId: envelope.id, endpointId: own.endpointId, atMs: START_MS };
    const nothing = { ...delivered, eventId: "evt_none" };
    const ended = await harness.drivers.deadLetters.removeDelivered([nothing, delivered]);
    assert.deepEqual(ended.map(({ id }) => id).toSorted(), ["dlv_own", "dlv_replay"]);
    const { id, tenant, eventId, endpointId, generation, state, attempts } = own;
    const facts = { id, tenant, eventId, endpointId, generation, state, attempts, eventType: envelope.type };
    assert.partialDeepStrictEqual(
      ended.find((each) => each.id === id),
      facts,
    );
    assert.deepEqual(await harness.drivers.deadLetters.removeDelivered([delivered]), []);
    await harness.reopen();
    const left = others.map((each) => each.id).toSorted();
    assert.deepEqual((await idsOf(harness, EVERYTHING)).toSorted(), left);
    assert.equal(await harness.drivers.deadLetters.count(EVERYTHING), left.length);
    assert.equal(await harness.drivers.deadLetters.count({ tenant: TENANT }), left.length - 1);
  });

  test(`${name} dead letters: past the bound the oldest of the tenant that keeps most are dropped, also after a crash`, async () => {
    await using harness = await open({ deadLetterBytesMax: 100_000 });
    const big = (id: string, tenant: string, atMs: number) => {
      const envelope = sampleEnvelope(`evt_${id}`, { tenant, body: new Uint8Array(30_000) });
      return sampleDeadLetter(id, { tenant, envelope, atMs });
    };
    const { deadLetters } = harness.drivers;
    await deadLetters.append([big("dlv_quiet", "quiet", 1), big("dlv_a", TENANT, 2), big("dlv_b", TENANT, 3)]);
    await deadLetters.append([big("dlv_c", TENANT, 4)]);
    assert.deepEqual(await idsOf(harness, EVERYTHING), ["dlv_c", "dlv_b", "dlv_quiet"]);
    await harness.reopen();
    await harness.drivers.deadLetters.append([big("dlv_d", TENANT, 5)]);
    assert.deepEqual(await idsOf(harness, EVERYTHING), ["dlv_d", "dlv_c", "dlv_quiet"]);
    assert.equal(await harness.drivers.deadLetters.count(EVERYTHING), 3);
  });

  test(`${name} dead letters: they weigh what they take, not their bodies alone, and news change the weight`, async () => {
    await using harness = await open({ deadLetterBytesMax: 20_000 });
    const small = (index: number, reason: string, atMs = START_MS + index) => {
      const envelope = sampleEnvelope(`evt_${index}`, { body: new Uint8Array(1) });
      return sampleDeadLetter(`dlv_${index}`, { envelope, atMs, reason, attempts: atMs > START_MS + 999 ? 2 : 1 });
    };
    const { deadLetters } = harness.drivers;
    await deadLetters.append(Array.from({ length: 1000 }, (_, index) => small(index, "answered 500")));
    const kept = await deadLetters.count(EVERYTHING);
    assert.ok(kept > 10 && kept < 100, `${kept} dead letters of one byte are kept in 20,000 bytes`);
    await deadLetters.append([small(999, "x".repeat(10_000), START_MS + 2000)]);
    const left = await deadLetters.count(EVERYTHING);
    assert.ok(left < kept, "a longer reason makes room for itself");
    await deadLetters.remove((await deadLetters.list(EVERYTHING, 1000, null)).rows);
    const again = Array.from({ length: kept }, (_, index) => small(index, "answered 500", START_MS + 5000 + index));
    await deadLetters.append(again);
    assert.equal(await deadLetters.count(EVERYTHING), kept);
  });

  test(`${name} dead letters: what was dropped shows as expired in the ledger, with the reason`, async () => {
    await using harness = await open({ deadLetterBytesMax: 50_000 });
    const { deadLetters, lanes, ledger } = harness.drivers;
    for (const [index, id] of ["evt_first", "evt_second"].entries()) {
      const envelope = sampleEnvelope(id, { body: new Uint8Array(30_000) });
      const deadLetter = sampleDeadLetter(`dlv_${id}`, { envelope, eventId: id, atMs: index + 1 });
      await lanes.append([envelope]);
      ledger.record([
        {
          kind: "delivery",
          delivery: {
            tenant: deadLetter.tenant,
            eventId: id,
            endpointId: deadLetter.endpointId,
            generation: deadLetter.generation,
            eventType: envelope.type,
            atMs: index + 1,
            state: "dead",
            attempt: 1,
            result: null,
            groupId: null,
            nextAttemptAtMs: null,
            reason: "answered 500",
          },
        },
      ]);
      await deadLetters.append([deadLetter]);
    }
    const { rows } = await ledger.deliveries({ tenant: TENANT, endpointId: ENDPOINT_ID }, 10, null);
    assert.deepEqual(rows.map(({ state }) => state).toSorted(), ["dead", "expired"]);
    assert.match(rows.find(({ state }) => state === "expired")?.reason ?? "", /at most 50000 bytes/);
  });

  test(`${name} dead letters: they outlive the ledger's entry of their event`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    await harness.drivers.lanes.ack(await harness.drivers.lanes.take("medium", 1, new AbortController().signal));
    await harness.drivers.deadLetters.append([sampleDeadLetter("dlv_a", { envelope })]);
    await harness.clock.advance(72 * 3600_000);
    assert.equal(await harness.drivers.ledger.event(TENANT, "evt_a"), null);
    assert.deepEqual((await harness.drivers.deadLetters.find("dlv_a"))?.envelope, envelope);
  });
}
