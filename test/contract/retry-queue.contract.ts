/** What every implementation of the port `retry-queue` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenHarness } from "./harness.ts";
import { retryQueueClocksContract } from "./retry-queue-clocks.contract.ts";
import { assertNothingDue, memberIdsOf, takeDue } from "./harness.ts";
import { SAMPLE_TRACE, START_MS, sampleEnvelope, sampleEnvelopes, sampleScheduled } from "../support/samples.ts";

export function retryQueueContract(name: string, open: OpenHarness): void {
  retryQueueClocksContract(name, open);

  /** One item of one event, `afterMs` after the start. */
  const after = (id: string, afterMs: number) =>
    sampleScheduled([sampleEnvelope(id)], { notBeforeMs: START_MS + afterMs });

  test(`${name} retry queue: take() gives back every field of what was scheduled`, async () => {
    await using harness = await open();
    const scheduled = sampleScheduled(sampleEnvelopes(3, { priority: "LOW", ...SAMPLE_TRACE }), {
      cause: "parked",
      notBeforeMs: START_MS,
      generation: START_MS - 5,
      attempt: 3,
      deferrals: 2,
      unmade: 3,
      putAside: 4,
      group: { id: "grp_0123", closedAtMs: START_MS - 10 },
    });
    await harness.drivers.retryQueue.schedule([scheduled]);
    const [item] = await takeDue(harness);
    assert.ok(item);
    const { handle: _, isRepeat, ...fields } = item;
    assert.deepEqual([fields, isRepeat], [scheduled, false]);
  });

  test(`${name} retry queue: an event with deliver-at comes back without an endpoint`, async () => {
    await using harness = await open();
    const scheduled = sampleScheduled([sampleEnvelope("evt_a", { deliverAtMs: START_MS + 10 })], {
      cause: "deliver-at",
      notBeforeMs: START_MS + 10,
      endpointId: null,
      attempt: 1,
    });
    await harness.drivers.retryQueue.schedule([scheduled]);
    await harness.clock.advance(10);
    const [item] = await takeDue(harness);
    assert.deepEqual([item?.endpointId, item?.cause, item?.isRepeat], [null, "deliver-at", false]);
  });

  test(`${name} retry queue: nothing is handed out a millisecond early`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 5000)]);
    await harness.clock.advance(4999);
    await assertNothingDue(harness);
    await harness.clock.advance(1);
    assert.deepEqual(memberIdsOf(await takeDue(harness)), [["evt_a"]]);
  });

  test(`${name} retry queue: a waiting take() is woken when the first item is due`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 5000)]);
    let takenAtMs = 0;
    const taken = takeDue(harness).then((items) => {
      takenAtMs = harness.clock.now();
      return items;
    });
    await harness.clock.advance(60_000);
    assert.deepEqual([memberIdsOf(await taken), takenAtMs], [[["evt_a"]], START_MS + 5000]);
  });

  test(`${name} retry queue: an earlier item scheduled later wakes a waiting take() at its own time`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_late", 60_000)]);
    const taken = takeDue(harness);
    await harness.clock.advance(1000);
    await harness.drivers.retryQueue.schedule([after("evt_soon", 2000)]);
    await harness.clock.advance(1000);
    assert.deepEqual(memberIdsOf(await taken), [["evt_soon"]]);
    assert.equal(harness.clock.now(), START_MS + 2000);
  });

  test(`${name} retry queue: an item that is due already wakes a waiting take() at once`, async () => {
    await using harness = await open();
    const taken = takeDue(harness);
    await harness.clock.settle();
    await harness.drivers.retryQueue.schedule([after("evt_a", -1000)]);
    assert.deepEqual(memberIdsOf(await taken), [["evt_a"]]);
  });

  test(`${name} retry queue: a wait of many days ends on time`, async () => {
    await using harness = await open();
    const afterMs = (harness.daysMax ?? 30) * 24 * 3600 * 1000;
    await harness.drivers.retryQueue.schedule([after("evt_a", afterMs)]);
    const taken = takeDue(harness);
    await harness.clock.advance(afterMs);
    assert.deepEqual(memberIdsOf(await taken), [["evt_a"]]);
  });

  test(`${name} retry queue: items come out in the order of their times, whatever the order they were scheduled in`, async () => {
    await using harness = await open();
    const waits = [300, 100, 200, 100];
    await harness.drivers.retryQueue.schedule(waits.map((wait, index) => after(`evt_${wait}_${index}`, wait)));
    await harness.clock.advance(1000);
    assert.deepEqual(memberIdsOf(await takeDue(harness)).flat(), ["evt_100_1", "evt_100_3", "evt_200_2", "evt_300_0"]);
  });

  test(`${name} retry queue: an item that is due earlier than one in someone's hands is handed out`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_held", 100)]);
    await harness.clock.advance(100);
    await takeDue(harness);
    await harness.drivers.retryQueue.schedule([after("evt_earlier", 50)]);
    assert.deepEqual(memberIdsOf(await takeDue(harness)), [["evt_earlier"]]);
    await assertNothingDue(harness);
  });

  test(`${name} retry queue: take() gives at most max items and the rest next time`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 0), after("evt_b", 0), after("evt_c", 0)]);
    assert.deepEqual(memberIdsOf(await takeDue(harness, 2)), [["evt_a"], ["evt_b"]]);
    assert.deepEqual(memberIdsOf(await takeDue(harness, 2)), [["evt_c"]]);
  });

  test(`${name} retry queue: an item in someone's hands is not handed out again`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 0)]);
    await takeDue(harness);
    await harness.clock.advance(3600_000);
    await assertNothingDue(harness);
  });

  test(`${name} retry queue: a waiting take() resolves with none when its signal is aborted`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 5000)]);
    const controller = new AbortController();
    const taken = harness.drivers.retryQueue.take(1, controller.signal);
    await harness.clock.settle();
    controller.abort();
    assert.deepEqual(await taken, []);
    assert.deepEqual(await harness.drivers.retryQueue.take(1, controller.signal), []);
  });

  test(`${name} retry queue: released items are handed out again at once, as repeats`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 0), after("evt_b", 0)]);
    const items = await takeDue(harness);
    const waiting = takeDue(harness);
    await harness.drivers.retryQueue.release(items.slice(0, 1));
    const again = await waiting;
    assert.deepEqual(memberIdsOf(again), [["evt_a"]]);
    assert.deepEqual([items[0]?.isRepeat, again[0]?.isRepeat], [false, true]);
    await assertNothingDue(harness);
  });

  test(`${name} retry queue: acknowledged items are gone after a crash, taken and waiting ones are repeats`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([
      after("evt_acked", 0),
      after("evt_taken", 1),
      after("evt_waiting", 9000),
    ]);
    await harness.clock.advance(10);
    const items = await takeDue(harness);
    await harness.drivers.retryQueue.ack(items.slice(0, 1));
    await harness.reopen();
    await harness.clock.advance(9000);
    const again = await takeDue(harness);
    assert.deepEqual(memberIdsOf(again), [["evt_taken"], ["evt_waiting"]]);
    assert.deepEqual(
      again.map(({ isRepeat }) => isRepeat),
      [true, true],
    );
  });

  test(`${name} retry queue: what is scheduled after a crash is no repeat`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_old", 0)]);
    await harness.reopen();
    await harness.drivers.retryQueue.schedule([after("evt_new", 0)]);
    const items = await takeDue(harness);
    assert.deepEqual(
      items.map(({ members, isRepeat }) => [members[0]?.id, isRepeat]),
      [
        ["evt_old", true],
        ["evt_new", false],
      ],
    );
  });

  test(`${name} retry queue: a deliver-at event scheduled twice is marked as a repeat the second time`, async () => {
    await using harness = await open();
    const scheduled = sampleScheduled([sampleEnvelope("evt_a")], {
      cause: "deliver-at",
      endpointId: null,
      notBeforeMs: START_MS,
    });
    await harness.drivers.retryQueue.schedule([scheduled]);
    await harness.drivers.retryQueue.schedule([scheduled]);
    assert.deepEqual(
      (await takeDue(harness)).map(({ isRepeat }) => isRepeat),
      [false, true],
    );
  });

  test(`${name} retry queue: one event waits for two endpoints and two attempts apart from one another`, async () => {
    await using harness = await open();
    const members = [sampleEnvelope("evt_a")];
    await harness.drivers.retryQueue.schedule([
      sampleScheduled(members, { notBeforeMs: START_MS, endpointId: "ep_one" }),
      sampleScheduled(members, { notBeforeMs: START_MS, endpointId: "ep_two", attempt: 7 }),
    ]);
    const items = await takeDue(harness);
    assert.deepEqual(
      items.map(({ endpointId, attempt }) => [endpointId, attempt]),
      [
        ["ep_one", 2],
        ["ep_two", 7],
      ],
    );
    await harness.drivers.retryQueue.ack(items.slice(0, 1));
    await harness.reopen();
    assert.deepEqual(
      (await takeDue(harness)).map(({ endpointId }) => endpointId),
      ["ep_two"],
    );
  });

  test(`${name} retry queue: an item scheduled anew stays when the old one is acknowledged`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([after("evt_a", 0)]);
    const items = await takeDue(harness);
    await harness.drivers.retryQueue.schedule([after("evt_a", 0)]);
    await harness.drivers.retryQueue.ack(items);
    await harness.reopen();
    assert.deepEqual(memberIdsOf(await takeDue(harness)), [["evt_a"]]);
  });

  test(`${name} retry queue: depth() counts held items and gives the earliest time`, async () => {
    await using harness = await open();
    assert.deepEqual(await harness.drivers.retryQueue.depth(), { count: 0, oldestAtMs: null });
    await harness.drivers.retryQueue.schedule([after("evt_a", 0), after("evt_b", 700)]);
    const items = await takeDue(harness);
    assert.deepEqual(await harness.drivers.retryQueue.depth(), { count: 2, oldestAtMs: START_MS });
    await harness.drivers.retryQueue.ack(items);
    await harness.drivers.retryQueue.ack(items);
    assert.deepEqual(await harness.drivers.retryQueue.depth(), { count: 1, oldestAtMs: START_MS + 700 });
  });

  test(`${name} retry queue: past the bound schedule() answers full and keeps nothing of the call`, async () => {
    await using harness = await open({ retryItemsMax: 3 });
    const { retryQueue } = harness.drivers;
    assert.deepEqual(await retryQueue.schedule([after("evt_a", 0), after("evt_b", 0)]), { kind: "scheduled" });
    const refused = await retryQueue.schedule([after("evt_c", 0), after("evt_d", 0)]);
    assert.ok(refused.kind === "full" && Number.isInteger(refused.retryAfterS) && refused.retryAfterS > 0);
    const items = await takeDue(harness);
    assert.deepEqual(memberIdsOf(items), [["evt_a"], ["evt_b"]]);
    await harness.drivers.retryQueue.ack(items);
    const again = await retryQueue.schedule([after("evt_c", 0), after("evt_d", 0), after("evt_e", 0)]);
    assert.equal(again.kind, "scheduled");
    assert.equal((await harness.drivers.retryQueue.depth()).count, 3);
  });

  test(`${name} retry queue: an event whose ledger entry is long gone can be scheduled again, body and all`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    await harness.drivers.lanes.ack(await harness.drivers.lanes.take("medium", 1, new AbortController().signal));
    await harness.clock.advance(49 * 3600_000);
    await harness.drivers.retryQueue.schedule([
      sampleScheduled([envelope], { cause: "replay", notBeforeMs: START_MS }),
    ]);
    const [item] = await takeDue(harness);
    assert.deepEqual(item?.members, [envelope]);
  });

  const parked = (id: string, endpointId: string, afterMs: number) =>
    sampleScheduled([sampleEnvelope(id)], { cause: "parked", endpointId, notBeforeMs: START_MS + afterMs });

  test(`${name} retry queue: recall() makes deferred items of one endpoint due at once, up to its maximum`, async () => {
    await using harness = await open();
    const { retryQueue } = harness.drivers;
    await retryQueue.schedule([
      parked("evt_a", "ep_1", 30_000),
      parked("evt_b", "ep_1", 40_000),
      parked("evt_c", "ep_1", 50_000),
      // Not deferred: a copy that waits for the first attempt of its policy.
      sampleScheduled([sampleEnvelope("evt_first")], {
        cause: "relieved",
        endpointId: "ep_1",
        notBeforeMs: START_MS + 30_000,
      }),
      parked("evt_other", "ep_2", 30_000),
      sampleScheduled([sampleEnvelope("evt_retry")], { endpointId: "ep_1", notBeforeMs: START_MS + 30_000 }),
    ]);
    await harness.clock.advance(1000);
    assert.equal(await retryQueue.recall("ep_1", 2), 2);
    const items = await takeDue(harness);
    assert.deepEqual(memberIdsOf(items), [["evt_a"], ["evt_b"]]);
    assert.equal(await retryQueue.recall("ep_none", 5), 0);
    await assertNothingDue(harness);
    await retryQueue.ack(items);
    await harness.clock.advance(60_000);
    assert.deepEqual(
      memberIdsOf(await takeDue(harness))
        .flat()
        .toSorted(),
      ["evt_c", "evt_first", "evt_other", "evt_retry"],
    );
  });

  test(`${name} retry queue: a copy that was deferred is recalled as well`, async () => {
    await using harness = await open();
    const { retryQueue } = harness.drivers;
    const deferred = { cause: "relieved", deferrals: 1, endpointId: "ep_1", notBeforeMs: START_MS + 30_000 } as const;
    await retryQueue.schedule([sampleScheduled([sampleEnvelope("evt_a")], deferred)]);
    await harness.clock.advance(1000);
    assert.equal(await retryQueue.recall("ep_1", 10), 1);
    assert.deepEqual(memberIdsOf(await takeDue(harness)), [["evt_a"]]);
  });

  test(`${name} retry queue: a waiting take() is woken by recall()`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([parked("evt_a", "ep_1", 50_000)]);
    await harness.clock.advance(1000);
    const taken = takeDue(harness);
    await harness.drivers.retryQueue.recall("ep_1", 10);
    assert.deepEqual(memberIdsOf(await taken), [["evt_a"]]);
  });

  test(`${name} retry queue: what was recalled and acked is handed out once, also after a crash`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([parked("evt_a", "ep_1", 50_000)]);
    await harness.clock.advance(1000);
    await harness.drivers.retryQueue.recall("ep_1", 10);
    const items = await takeDue(harness);
    // In someone's hands it is not there to be recalled, also for a clock that was set back.
    harness.clock.stepWall(-10_000);
    assert.equal(await harness.drivers.retryQueue.recall("ep_1", 10), 0);
    harness.clock.stepWall(10_000);
    await harness.drivers.retryQueue.ack(items);
    await harness.reopen();
    await harness.clock.advance(60_000);
    await assertNothingDue(harness);
  });

  test(`${name} retry queue: what was recalled and not acked comes again after a crash`, async () => {
    await using harness = await open();
    await harness.drivers.retryQueue.schedule([parked("evt_a", "ep_1", 50_000)]);
    await harness.clock.advance(1000);
    await harness.drivers.retryQueue.recall("ep_1", 10);
    await takeDue(harness);
    await harness.reopen();
    await harness.clock.advance(60_000);
    assert.deepEqual(memberIdsOf(await takeDue(harness)), [["evt_a"]]);
  });
}
