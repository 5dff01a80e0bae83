import assert from "node:assert/strict";
import { test } from "node:test";
import { createBatchGroups } from "@posthaste/processor/intake/batch-groups.ts";
import type { Ending, PendingDelivery } from "@posthaste/processor/delivery/pending-delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { GROUP_BYTES_MAX } from "@posthaste/shared/domain/envelope.ts";
import { messageBody } from "@posthaste/shared/domain/message.ts";
import { testHasher } from "../../support/ambient.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, endpointOf, envelopeOf } from "../../support/samples.ts";

const batched = endpointOf("ep1", { batch: { maxEvents: 3, maxWaitMs: 500 } });

/** What memory and the store say of any endpoint; memory knows nothing when it is undefined. */
interface Known {
  inMemory: Endpoint | null | undefined;
  reads: number;
}

function open(known: Known = { inMemory: batched, reads: 0 }) {
  const clock = createManualClock(START_MS);
  const submitted: {
    readonly delivery: PendingDelivery;
    readonly endpoint: Endpoint;
    readonly atMs: number;
    end(ending: Ending): void;
  }[] = [];
  const told: string[] = [];
  /** Ids of events that the ledger shows as completed. */
  const completed = new Set<string>();
  const groups = createBatchGroups({
    clock,
    hasher: testHasher,
    lookup: {
      peek: () => known.inMemory,
      find: () => Promise.resolve(void (known.reads += 1)).then(() => (known.inMemory = batched)),
    },
    completed: {
      isShown: (delivery) => Promise.resolve(delivery.members.every(({ id }) => completed.has(id))),
    },
    run: {
      first: (delivery, endpoint) =>
        new Promise((end) => {
          submitted.push({ delivery, endpoint, atMs: clock.now() - START_MS, end });
        }),
    },
  });
  const add = (id: string, endpoint: Endpoint = batched, bytes?: number, isRepeat = false): void => {
    const envelope = envelopeOf(id, "low", bytes === undefined ? {} : { body: new Uint8Array(bytes).fill(32) });
    void groups.add(envelope, endpoint, isRepeat).then((ending) => told.push(`${ending} ${id}`));
  };
  const addRepeat = (id: string): void => add(id, batched, undefined, true);
  const members = () => submitted.map(({ delivery }) => delivery.members.map(({ id }) => id));
  return { clock, groups, submitted, told, completed, add, addRepeat, members };
}

test("a group is closed by its number of events, at once", () => {
  const { add, members } = open();
  for (const id of ["a", "b", "c", "d"]) add(id);
  assert.deepEqual(members(), [["a", "b", "c"]]);
});

test("where memory does not know the endpoint any more, it is read before the group goes out", async () => {
  const known: Known = { inMemory: batched, reads: 0 };
  const { add, clock, members } = open(known);
  add("a");
  known.inMemory = undefined;
  await clock.advance(500);
  assert.deepEqual([members(), known.reads], [[["a"]], 1]);
  add("b");
  await clock.advance(500);
  assert.deepEqual([members(), known.reads], [[["a"], ["b"]], 1]);
});

test("where the directory cannot be read, the endpoint is as the newest member found it", async () => {
  const { add, clock, submitted } = open({ inMemory: undefined, reads: 0 });
  const rotated = endpointOf("ep1", { batch: batched.batch, description: "rotated since" });
  add("a");
  add("b", rotated);
  await clock.advance(500);
  assert.equal(submitted[0]?.endpoint, rotated);
});

test("a repeat that was completed elsewhere while its group was open does not go out with it", async () => {
  const { add, addRepeat, clock, completed, members, submitted, told } = open();
  add("a");
  addRepeat("b");
  completed.add("a");
  completed.add("b");
  await clock.advance(500);
  // Nobody else can have had a first attempt in so short a time.
  assert.deepEqual(members(), [["a"]]);
  assert.deepEqual(submitted[0]?.delivery.repeats, []);
  submitted[0]?.end("settled");
  await clock.advance(0);
  assert.deepEqual(told, ["settled a", "settled b"]);
});

test("what another process took over and delivered while its group was open for long does not go out with it", async () => {
  const { add, clock, completed, members, submitted, told } = open();
  const slow = endpointOf("ep1", { batch: { maxEvents: 3, maxWaitMs: 30_000 } });
  for (const id of ["a", "b"]) add(id, slow);
  completed.add("a");
  await clock.advance(30_000);
  assert.deepEqual([members(), submitted[0]?.delivery.repeats], [[["b"]], []]);
  submitted[0]?.end("settled");
  await clock.advance(0);
  assert.deepEqual(told, ["settled a", "settled b"]);
});

test("a repeat that finds itself in the open group, fresh, is asked about as well", async () => {
  const { add, addRepeat, clock, completed, members } = open();
  for (const id of ["a", "b"]) add(id);
  addRepeat("a");
  addRepeat("a");
  completed.add("a");
  completed.add("b");
  await clock.advance(500);
  assert.deepEqual(members(), [["b"]]);
});

test("of repeats that were not completed the group's beginning is noted, and one of nothing else is settled", async () => {
  const { addRepeat, clock, completed, members, submitted, told } = open();
  for (const id of ["a", "b"]) addRepeat(id);
  completed.add("a");
  await clock.advance(500);
  assert.deepEqual([members(), submitted[0]?.delivery.repeats.map(({ id }) => id)], [[["b"]], ["b"]]);
  completed.add("c");
  addRepeat("c");
  await clock.advance(500);
  assert.deepEqual([members(), told], [[["b"]], ["settled c"]]);
});

test("a group is closed by the longest wait of its first member", async () => {
  const { add, clock, members, submitted } = open();
  add("a");
  await clock.advance(400);
  add("b");
  await clock.advance(99);
  assert.deepEqual(members(), []);
  await clock.advance(1);
  assert.deepEqual([members(), submitted[0]?.atMs], [[["a", "b"]], 500]);
});

test("a group that was closed by number is not closed again by time", async () => {
  const { add, clock, members } = open();
  for (const id of ["a", "b", "c"]) add(id);
  await clock.advance(10_000);
  assert.deepEqual([members(), clock.timerCount()], [[["a", "b", "c"]], 0]);
});

test("a group is closed before its body would pass the bound", () => {
  const { add, submitted, members } = open();
  const roomy = endpointOf("ep1", { batch: { maxEvents: 1000, maxWaitMs: 500 } });
  for (let index = 0; index < 70; index++) add(`evt_${index}`, roomy, 8000);
  assert.ok(members().length === 1 && (members()[0]?.length ?? 0) >= 64);
  const [first] = submitted;
  assert.ok(first !== undefined && messageBody(first.delivery.members, first.delivery.group).length <= GROUP_BYTES_MAX);
});

test("an event that fills the bound by itself is a group of one", () => {
  const { add, members } = open();
  add("a");
  add("large", batched, GROUP_BYTES_MAX);
  add("c");
  assert.deepEqual(members(), [["a"], ["large"]]);
});

test("each endpoint has a group of its own", () => {
  const { add, members } = open();
  const other = endpointOf("ep2", { batch: { maxEvents: 2, maxWaitMs: 500 } });
  for (const id of ["a", "b"]) add(id);
  for (const id of ["c", "d"]) add(id, other);
  assert.deepEqual(members(), [["c", "d"]]);
});

test("closeFullest() sends the fullest group before its time, one by one until none is open", () => {
  const { add, groups, members } = open();
  add("a");
  const other = endpointOf("ep2", { batch: { maxEvents: 5, maxWaitMs: 500 } });
  for (const id of ["b", "c"]) add(id, other);
  assert.deepEqual([groups.closeFullest(), groups.closeFullest(), groups.closeFullest()], [true, true, false]);
  assert.deepEqual(members(), [["b", "c"], ["a"]]);
});

test("all members end together, when the group is settled", async () => {
  const { add, clock, submitted, told } = open();
  for (const id of ["a", "b", "c"]) add(id);
  assert.deepEqual(told, []);
  submitted[0]?.end("settled");
  await clock.settle();
  assert.deepEqual(told, ["settled a", "settled b", "settled c"]);
});

test("a group is a first attempt on the low lane, with an id made of its members and its time", async () => {
  const { add, clock, submitted } = open();
  add("a");
  await clock.advance(500);
  const { lane, attempt, generation, deferrals, group } = submitted[0]?.delivery ?? {};
  assert.deepEqual([lane, attempt, generation, deferrals, group?.closedAtMs], ["low", 1, 0, 0, START_MS + 500]);
});

test("abandon() releases all members, now and from now on, and closes nothing more", async () => {
  const { add, clock, groups, submitted, told } = open();
  for (const id of ["a", "b"]) add(id);
  groups.abandon();
  add("late");
  await clock.advance(10_000);
  assert.deepEqual(
    [told, submitted, groups.closeFullest()],
    [["released a", "released b", "released late"], [], false],
  );
});

test("an event for an endpoint that takes no batches any more is released", async () => {
  const { add, clock, told } = open();
  add("a", endpointOf("ep1"));
  await clock.settle();
  assert.deepEqual(told, ["released a"]);
});
