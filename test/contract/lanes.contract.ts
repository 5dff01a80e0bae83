/**
 * What every implementation of the port `lanes` promises, and what those promise besides that keep the lanes' books
 * themselves: a log like Kafka refuses nothing before its disk is full, and recalls an event only while it is read.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { fairLanesContract } from "./fair-lanes.contract.ts";
import type { OpenHarness } from "./harness.ts";
import { assertLaneIdle, idsOf, takeDue, takeSome, withCode } from "./harness.ts";
import { SAMPLE_TRACE, START_MS, sampleEnvelope, sampleEnvelopes, sampleScheduled } from "../support/samples.ts";

export function lanesContract(name: string, open: OpenHarness): void {
  test(`${name} lanes: take() gives back every field of the envelope, byte for byte`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_full", {
      deliverAtMs: START_MS + 1,
      ...SAMPLE_TRACE,
      directoryVersion: 42,
      body: Uint8Array.from({ length: 256 }, (_, byte) => byte),
    });
    await harness.drivers.lanes.append([envelope]);
    const [item] = await takeSome(harness, "medium");
    assert.deepEqual(item?.envelope, envelope);
  });

  test(`${name} lanes: the same fields come back after a restart`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_full", {
      ...SAMPLE_TRACE,
      deliverAtMs: START_MS + 7,
      directoryVersion: 3,
    });
    await harness.drivers.lanes.append([envelope]);
    await harness.reopen();
    const [item] = await takeSome(harness, "medium");
    assert.deepEqual(item?.envelope, envelope);
  });

  test(`${name} lanes: each envelope goes to the lane of its own priority`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([
      sampleEnvelope("low", { priority: "LOW" }),
      sampleEnvelope("high", { priority: "HIGH" }),
      sampleEnvelope("medium", { priority: "MEDIUM" }),
    ]);
    for (const lane of LANES) {
      const items = await takeSome(harness, lane);
      assert.deepEqual([idsOf(items), items[0]?.lane], [[lane], lane]);
    }
  });

  test(`${name} lanes: items come out in the order of append()`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(3));
    await harness.drivers.lanes.append([sampleEnvelope("evt_last")]);
    assert.deepEqual(idsOf(await takeSome(harness, "medium")), ["evt_0", "evt_1", "evt_2", "evt_last"]);
  });

  test(`${name} lanes: take() gives at most max items, and the next take() goes on after them`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(5));
    assert.deepEqual(idsOf(await takeSome(harness, "medium", 2)), ["evt_0", "evt_1"]);
    assert.deepEqual(idsOf(await takeSome(harness, "medium", 2)), ["evt_2", "evt_3"]);
    assert.deepEqual(idsOf(await takeSome(harness, "medium", 2)), ["evt_4"]);
    await assertLaneIdle(harness, "medium");
  });

  test(`${name} lanes: a waiting take() is woken by append() without time passing`, async () => {
    await using harness = await open();
    const taken = takeSome(harness, "medium");
    await harness.clock.settle();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    assert.deepEqual(idsOf(await taken), ["evt_a"]);
    assert.equal(harness.clock.now(), START_MS);
  });

  test(`${name} lanes: a waiting take() resolves with none when its signal is aborted`, async () => {
    await using harness = await open();
    const controller = new AbortController();
    const taken = harness.drivers.lanes.take("low", 10, controller.signal);
    await harness.clock.settle();
    controller.abort();
    assert.deepEqual(await taken, []);
  });

  test(`${name} lanes: take() with an aborted signal takes nothing away`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    assert.deepEqual(await harness.drivers.lanes.take("medium", 10, AbortSignal.abort()), []);
    assert.deepEqual(idsOf(await takeSome(harness, "medium")), ["evt_a"]);
  });

  test(`${name} lanes: a waiter that gave up does not swallow what comes after`, async () => {
    await using harness = await open();
    await assertLaneIdle(harness, "medium");
    const other = takeSome(harness, "medium");
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    assert.deepEqual(idsOf(await other), ["evt_a"]);
  });

  test(`${name} lanes: two waiters never get the same item, and together they get all`, async () => {
    await using harness = await open();
    const waiters = [takeSome(harness, "medium", 2), takeSome(harness, "medium", 2)];
    await harness.drivers.lanes.append(sampleEnvelopes(4));
    const taken = await Promise.all(waiters);
    assert.deepEqual(taken.flatMap(idsOf).toSorted(), ["evt_0", "evt_1", "evt_2", "evt_3"]);
  });

  test(`${name} lanes: appending an event that waits already does nothing`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    await harness.drivers.lanes.append([sampleEnvelope("evt_a", { body: new Uint8Array([1]) })]);
    const items = await takeSome(harness, "medium");
    assert.deepEqual(
      items.map(({ envelope }) => envelope),
      [sampleEnvelope("evt_a")],
    );
    assert.equal((await harness.drivers.lanes.depth("medium")).count, 1);
  });

  test(`${name} lanes: one event twice in one append() is one item`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a"), sampleEnvelope("evt_a")]);
    assert.deepEqual(idsOf(await takeSome(harness, "medium")), ["evt_a"]);
    assert.equal((await harness.drivers.lanes.depth("medium")).count, 1);
  });

  test(`${name} lanes: the same event id of two tenants is two events`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a"), sampleEnvelope("evt_a", { tenant: "globex" })]);
    const items = await takeSome(harness, "medium");
    assert.deepEqual(
      items.map(({ envelope }) => envelope.tenant),
      ["acme", "globex"],
    );
  });

  fairLanesContract(name, open);

  test(`${name} lanes: what is handed out for the first time is no repeat`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(2));
    assert.deepEqual(
      (await takeSome(harness, "medium")).map(({ isRepeat }) => isRepeat),
      [false, false],
    );
  });

  test(`${name} lanes: released items are handed out again at once, as repeats`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(3));
    const items = await takeSome(harness, "medium");
    await harness.drivers.lanes.release(items.slice(0, 2));
    const again = await takeSome(harness, "medium");
    assert.deepEqual(
      again.map((item) => [item.envelope.id, item.isRepeat]),
      [
        ["evt_0", true],
        ["evt_1", true],
      ],
    );
  });

  test(`${name} lanes: release() wakes a waiting waiter`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    const items = await takeSome(harness, "medium");
    const other = takeSome(harness, "medium");
    await harness.drivers.lanes.release(items);
    assert.deepEqual(idsOf(await other), ["evt_a"]);
  });

  test(`${name} lanes: a released item can be acknowledged after it was taken again`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    await harness.drivers.lanes.release(await takeSome(harness, "medium"));
    await harness.drivers.lanes.ack(await takeSome(harness, "medium"));
    await harness.reopen();
    await assertLaneIdle(harness, "medium");
  });

  test(`${name} lanes: acknowledged items are not handed out after a crash`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(3));
    await harness.drivers.lanes.ack(await takeSome(harness, "medium", 2));
    await harness.reopen();
    assert.deepEqual(idsOf(await takeSome(harness, "medium")), ["evt_2"]);
  });

  test(`${name} lanes: items that were taken but not acknowledged come again after a crash, as repeats`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(2));
    await takeSome(harness, "medium");
    await harness.reopen();
    const items = await takeSome(harness, "medium");
    assert.deepEqual(
      items.map((item) => [item.envelope.id, item.isRepeat]),
      [
        ["evt_0", true],
        ["evt_1", true],
      ],
    );
  });

  test(`${name} lanes: appends after a crash come behind what survived it, and are no repeats`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_old")]);
    await harness.reopen();
    await harness.drivers.lanes.append([sampleEnvelope("evt_new")]);
    const items = await takeSome(harness, "medium");
    assert.deepEqual(
      items.map((item) => [item.envelope.id, item.isRepeat]),
      [
        ["evt_old", true],
        ["evt_new", false],
      ],
    );
  });

  test(`${name} lanes: a crash before append() resolved leaves all of its envelopes or none`, async () => {
    await using harness = await open();
    harness.drivers.lanes.append(sampleEnvelopes(3)).catch(() => undefined);
    await harness.reopen();
    const { count } = await harness.drivers.lanes.depth("medium");
    assert.ok(count === 0 || count === 3, `${count} of 3 were kept`);
  });

  test(`${name} lanes: depth() counts held items until they are acknowledged`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([
      sampleEnvelope("evt_a"),
      sampleEnvelope("evt_b", { acceptedAtMs: START_MS + 9 }),
    ]);
    const [first] = await takeSome(harness, "medium");
    assert.ok(first);
    assert.deepEqual(await harness.drivers.lanes.depth("medium"), { count: 2, oldestAtMs: START_MS });
    await harness.drivers.lanes.ack([first]);
    assert.deepEqual(await harness.drivers.lanes.depth("medium"), { count: 1, oldestAtMs: START_MS + 9 });
  });

  test(`${name} lanes: depth() of an empty lane is nothing, and lanes are counted apart`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a", { priority: "LOW" })]);
    assert.deepEqual(await harness.drivers.lanes.depth("high"), { count: 0, oldestAtMs: null });
    assert.deepEqual(await harness.drivers.lanes.depth("low"), { count: 1, oldestAtMs: START_MS });
  });

  test(`${name} lanes: depth() is right after a crash`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(4));
    await harness.drivers.lanes.ack(await takeSome(harness, "medium", 1));
    await harness.reopen();
    assert.deepEqual(await harness.drivers.lanes.depth("medium"), { count: 3, oldestAtMs: START_MS });
  });

  test(`${name} lanes: acknowledging twice counts once`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append(sampleEnvelopes(3));
    const items = await takeSome(harness, "medium", 1);
    await harness.drivers.lanes.ack(items);
    await harness.drivers.lanes.ack(items);
    assert.equal((await harness.drivers.lanes.depth("medium")).count, 2);
  });

  test(`${name} lanes: a long backlog comes out whole, once each and in order, while more is appended`, async () => {
    await using harness = await open();
    const total = 24_000;
    const appended = Array.from({ length: total / 1000 }, (_, batch) =>
      Array.from({ length: 1000 }, (__, index) => sampleEnvelope(`evt_${batch * 1000 + index}`)),
    );
    for (const batch of appended.slice(0, 12)) await harness.drivers.lanes.append(batch);
    const ids: string[] = [];
    // A lane holds no more than its window without an ack.
    const takeMore = async (max: number): Promise<void> => {
      const items = await takeSome(harness, "medium", max);
      ids.push(...idsOf(items));
      const acked = harness.drivers.lanes.ack(items);
      await harness.clock.advance(200);
      await acked;
    };
    for (const batch of appended.slice(12)) {
      await harness.drivers.lanes.append(batch);
      await takeMore(700);
    }
    while (ids.length < total) await takeMore(1000);
    assert.deepEqual(
      ids,
      appended.flat().map(({ id }) => id),
    );
    await assertLaneIdle(harness, "medium");
  });
}

export function laneBooksContract(name: string, open: OpenHarness): void {
  test(`${name} lanes: appending an event that was acknowledged already does nothing, also after a restart`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    await harness.drivers.lanes.ack(await takeSome(harness, "medium"));
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    await assertLaneIdle(harness, "medium");
    await harness.reopen();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    await assertLaneIdle(harness, "medium");
  });

  test(`${name} lanes: an event that only the retry queue knew can still be appended, as a repeat`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.retryQueue.schedule([sampleScheduled([envelope], { cause: "deliver-at", endpointId: null })]);
    await harness.drivers.lanes.append([sampleEnvelope("evt_b"), envelope]);
    const items = await takeSome(harness, "medium");
    const isRepeatById = Object.fromEntries(items.map((item) => [item.envelope.id, item.isRepeat]));
    assert.deepEqual([isRepeatById, items.length], [{ evt_a: true, evt_b: false }, 2]);
    await assertLaneIdle(harness, "medium");
    await harness.clock.advance(5000);
    assert.equal((await takeDue(harness)).length, 1);
  });

  test(`${name} lanes: past the bound append() throws overloaded and keeps nothing of the call`, async () => {
    await using harness = await open({ laneItemsMax: 3 });
    const high = { priority: "HIGH" } as const;
    await harness.drivers.lanes.append([sampleEnvelope("evt_kept", high), sampleEnvelope("evt_kept_too", high)]);
    const two = [sampleEnvelope("evt_a", high), sampleEnvelope("evt_b", high)];
    await assert.rejects(harness.drivers.lanes.append(two), withCode("overloaded"));
    assert.deepEqual(idsOf(await takeSome(harness, "high")), ["evt_kept", "evt_kept_too"]);
    assert.equal(await harness.drivers.ledger.event("acme", "evt_a"), null);
  });

  test(`${name} lanes: the refusal says how long to wait`, async () => {
    await using harness = await open({ laneItemsMax: 1 });
    await assert.rejects(harness.drivers.lanes.append(sampleEnvelopes(5)), (error: unknown) => {
      assert.ok(withCode("overloaded")(error) && error instanceof Error && "details" in error && "retriable" in error);
      const { retryAfterS } = error.details as { retryAfterS?: number };
      return error.retriable === true && typeof retryAfterS === "number" && retryAfterS >= 1;
    });
  });

  test(`${name} lanes: LOW is refused first, MEDIUM next, HIGH last`, async () => {
    await using harness = await open({ laneItemsMax: 100 });
    const { lanes } = harness.drivers;
    await lanes.append(sampleEnvelopes(80, { priority: "LOW" }));
    await assert.rejects(lanes.append([sampleEnvelope("low", { priority: "LOW" })]), withCode("overloaded"));
    await lanes.append(Array.from({ length: 10 }, (_, index) => sampleEnvelope(`medium_${index}`)));
    await assert.rejects(lanes.append([sampleEnvelope("medium")]), withCode("overloaded"));
    await lanes.append(Array.from({ length: 10 }, (_, index) => sampleEnvelope(`high_${index}`, { priority: "HIGH" })));
    await assert.rejects(lanes.append([sampleEnvelope("high", { priority: "HIGH" })]), withCode("overloaded"));
  });

  test(`${name} lanes: an ack makes room for an append`, async () => {
    await using harness = await open({ laneItemsMax: 10 });
    const { lanes } = harness.drivers;
    await lanes.append(sampleEnvelopes(9));
    await assert.rejects(lanes.append([sampleEnvelope("evt_next")]), withCode("overloaded"));
    await lanes.ack(await takeSome(harness, "medium", 1));
    await lanes.append([sampleEnvelope("evt_next")]);
    assert.equal((await lanes.depth("medium")).count, 9);
  });

  test(`${name} lanes: of calls that run at the same time each is kept or refused by itself, up to the bound`, async () => {
    await using harness = await open({ laneItemsMax: 10 });
    const { lanes } = harness.drivers;
    const append = (...ids: string[]) => lanes.append(ids.map((id) => sampleEnvelope(id, { priority: "HIGH" })));
    const calls = [append("evt_a", "evt_b"), lanes.append(sampleEnvelopes(9, { priority: "HIGH" }))];
    for (let index = 0; index < 20; index++) calls.push(append(`evt_more_${index}`));
    const kept = (await Promise.allSettled(calls)).map(({ status }) => status === "fulfilled");
    assert.deepEqual([kept.slice(0, 3), kept.filter(Boolean).length], [[true, false, true], 9]);
    const names = Array.from({ length: 8 }, (_, index) => `evt_more_${index}`);
    assert.deepEqual(idsOf(await takeSome(harness, "high")).toSorted(), ["evt_a", "evt_b", ...names]);
    assert.equal((await lanes.depth("high")).count, 10);
  });

  test(`${name} lanes: appending known events again does not use up the bound`, async () => {
    await using harness = await open({ laneItemsMax: 20 });
    const { lanes } = harness.drivers;
    for (let time = 0; time < 10; time++) await lanes.append(sampleEnvelopes(8));
    await lanes.append(Array.from({ length: 8 }, (_, index) => sampleEnvelope(`evt_more_${index}`)));
    assert.equal((await lanes.depth("medium")).count, 16);
  });

  test(`${name} lanes: the bound in bytes refuses, too`, async () => {
    await using harness = await open({ laneBytesMax: 1000 });
    const body = new Uint8Array(600);
    await harness.drivers.lanes.append([sampleEnvelope("evt_a", { priority: "HIGH", body })]);
    const more = sampleEnvelope("evt_b", { priority: "HIGH", body });
    await assert.rejects(harness.drivers.lanes.append([more]), withCode("overloaded"));
  });

  test(`${name} lanes: what survived a crash counts against the bound`, async () => {
    await using harness = await open({ laneItemsMax: 10 });
    await harness.drivers.lanes.append(sampleEnvelopes(9));
    await harness.reopen();
    await assert.rejects(harness.drivers.lanes.append([sampleEnvelope("evt_next")]), withCode("overloaded"));
  });
}
