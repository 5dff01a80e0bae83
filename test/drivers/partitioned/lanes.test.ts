/** The lanes on the log: what they promise beyond the port, through rebalances, crashes and heads that block. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLaneCommits } from "@posthaste/shared/drivers/partitioned/lanes/commits.ts";
import type { LaneItem, Lanes } from "@posthaste/shared/ports/lanes.ts";
import fc from "fast-check";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { idsOf, withCode } from "../../contract/harness.ts";
import type { LogWorld } from "./lanes-harness.ts";
import { GROUP, JOIN_MS, TOPICS, createLanesOf, openLogWorld, passing } from "./lanes-harness.ts";
import { sampleEnvelope, sampleEnvelopes } from "../../support/samples.ts";

const NEVER = new AbortController().signal;

/** Everything that can be taken now. */
async function takeAll(world: LogWorld, lanes: Lanes, max = 1000): Promise<readonly LaneItem[]> {
  const items: LaneItem[] = [];
  for (;;) {
    await world.clock.settle();
    const controller = new AbortController();
    const taken = lanes.take("medium", max, controller.signal);
    await world.clock.settle();
    controller.abort();
    const some = await taken;
    if (some.length === 0) return items;
    items.push(...some);
  }
}

async function committedOf(world: LogWorld): Promise<number> {
  const depths = await world.partitionLog.depth(`${GROUP}.medium`, TOPICS.medium);
  return depths.reduce((sum, { committed }) => sum + committed, 0);
}

async function append(world: LogWorld, lanes: Lanes, count: number, prefix = "evt"): Promise<void> {
  await lanes.append(Array.from({ length: count }, (_, index) => sampleEnvelope(`${prefix}_${index}`)));
  await world.clock.settle();
}

test("partitions take turns: one with a long backlog does not hold up the others", async () => {
  const world = await openLogWorld(3);
  const { lanes } = await world.start();
  const producer = world.partitionLog.openProducer("raw");
  const one = (partition: number, id: string) => {
    const { body, ...facts } = sampleEnvelope(id);
    const headers = { id, tenant: facts.tenant, type: facts.type, priority: "MEDIUM", accepted: "1", directory: "1" };
    return { topic: TOPICS.medium, partition, key: null, value: body, headers, timestampMs: 0 };
  };
  await producer.append([
    ...Array.from({ length: 300 }, (_, index) => one(0, `long_${index}`)),
    one(1, "b"),
    one(2, "c"),
  ]);
  await world.clock.settle();
  const ids = idsOf(await lanes.take("medium", 9, NEVER));
  assert.equal(ids.length, 9);
  assert.ok(ids.includes("b") && ids.includes("c"), ids.join());
});

test("who only appends joins no group, and still knows the depth", async () => {
  const world = await openLogWorld(2);
  const producer = world.partitionLog.openProducer("gateway");
  const gateway = createLanesOf(world, {
    partitionLog: { ...world.partitionLog, openReader: () => assert.fail("joined a group") },
    clock: world.clock,
    producer,
  });
  const writtenAtMs = world.clock.now();
  await append(world, gateway, 5);
  await world.clock.advance(60_000);
  assert.deepEqual([await gateway.depth("medium"), gateway.health()], [{ count: 5, oldestAtMs: writtenAtMs }, null]);
  await gateway[Symbol.asyncDispose]();
});

test("an event written twice is handed out once, also when the first copy is done already", async () => {
  const world = await openLogWorld(2);
  const { lanes } = await world.start();
  await append(world, lanes, 3);
  await append(world, lanes, 2);
  const items = await takeAll(world, lanes);
  assert.equal(items.length, 3);
  await lanes.ack(items);
  await append(world, lanes, 3);
  assert.deepEqual(idsOf(await takeAll(world, lanes)), []);
  await world.clock.advance(100);
  assert.deepEqual([await committedOf(world), await lanes.depth("medium")], [8, { count: 0, oldestAtMs: null }]);
});

test("reading pauses at the bound of the window and goes on when there is room", async () => {
  const world = await openLogWorld(1);
  const { lanes } = await world.start({ recordsMax: 600 });
  await append(world, lanes, 3000);
  const ids: string[] = [];
  while (ids.length < 3000) {
    const items = await takeAll(world, lanes);
    assert.ok(items.length <= 1000, `${items.length} are held`);
    ids.push(...idsOf(items));
    await passing(world.clock, lanes.ack(items), 600);
  }
  assert.deepEqual(
    ids,
    sampleEnvelopes(3000).map(({ id }) => id),
  );
});

test("a head that is under way for too long is given away, and only then the committed offset passes it", async () => {
  const world = await openLogWorld(1);
  const { lanes } = await world.start({ ageMsMax: 5000 });
  await append(world, lanes, 4);
  const [slow, ...quick] = await takeAll(world, lanes);
  assert.ok(slow);
  await lanes.ack(quick);
  await world.clock.advance(4999);
  assert.deepEqual([world.offloaded, await committedOf(world)], [[], 0]);
  await world.clock.advance(200);
  assert.deepEqual([world.offloaded, await committedOf(world)], [["evt_0"], 4]);
  await lanes.ack([slow]);
  await lanes.release([slow]);
  assert.deepEqual(idsOf(await takeAll(world, lanes)), []);
});

test("an offload that fails is repeated, and a crash before it resolved hands everything out again", async () => {
  const world = await openLogWorld(1);
  const process = await world.start({ ageMsMax: 5000 });
  let calls = 0;
  world.offload = () => {
    calls++;
    return Promise.reject(new Error("no room"));
  };
  await append(world, process.lanes, 2);
  await takeAll(world, process.lanes);
  await world.clock.advance(7500);
  assert.deepEqual([calls, await committedOf(world)], [3, 0]);
  await process.crash();
  const { lanes } = await world.start();
  const again = await takeAll(world, lanes);
  assert.deepEqual(
    again.map(({ envelope, isRepeat }) => [envelope.id, isRepeat]),
    [
      ["evt_0", true],
      ["evt_1", true],
    ],
  );
});

test("a backlog that nobody took is never given away", async () => {
  const world = await openLogWorld(1);
  const { lanes } = await world.start({ ageMsMax: 5000 });
  await append(world, lanes, 500);
  await world.clock.advance(60_000);
  assert.equal((await takeAll(world, lanes)).length, 500);
  assert.deepEqual(world.offloaded, []);
});

test("at the bound of the span the older half of what is under way is given away at once", async () => {
  const world = await openLogWorld(1);
  const { lanes } = await world.start({ spanMax: 10 });
  await append(world, lanes, 10);
  const nowMs = world.clock.now();
  await takeAll(world, lanes);
  assert.deepEqual(world.offloaded, ["evt_0", "evt_1", "evt_2", "evt_3", "evt_4"]);
  assert.equal(world.clock.now(), nowMs);
});

test("a record that does not read back is given away raw, repeated until it is kept, and then settled", async () => {
  const world = await openLogWorld(1);
  const process = await world.start();
  const keep = world.onPoison;
  let failures = 3;
  world.onPoison = (record) => (failures-- > 0 ? Promise.reject(new Error("not now")) : keep(record));
  const value = Uint8Array.of(0, 255, 1);
  const bad = { topic: TOPICS.medium, partition: 0, key: null, headers: { id: "evt_x" }, timestampMs: 0 };
  await world.partitionLog.openProducer("raw").append([
    { ...bad, value },
    { ...bad, value: null },
  ]);
  await append(world, process.lanes, 1);
  await process.lanes.ack(await takeAll(world, process.lanes));
  await world.clock.advance(6900);
  assert.deepEqual([world.poison.length, await committedOf(world)], [0, 0]);
  await world.clock.advance(200);
  assert.deepEqual(
    world.poison.map(({ topic, partition, offset, headers, value: raw }) => [topic, partition, offset, headers, raw]),
    [
      [TOPICS.medium, 0, 0, { id: "evt_x" }, value],
      [TOPICS.medium, 0, 1, { id: "evt_x" }, null],
    ],
  );
  assert.match(world.poison[0]?.reason ?? "", /header tenant is missing/);
  assert.match(world.poison[1]?.reason ?? "", /no value/);
  assert.equal(await committedOf(world), 3);
});

test("after a rebalance late acks of lost partitions commit nothing, and the new reader gets the items as repeats", async () => {
  const world = await openLogWorld(4);
  const first = await world.start();
  await append(world, first.lanes, 40);
  const early = await takeAll(world, first.lanes);
  const second = await world.start();
  const moved = await takeAll(world, second.lanes);
  assert.ok(moved.length > 0 && moved.length < 40, `${moved.length} moved`);
  assert.ok(moved.every(({ isRepeat }) => isRepeat));
  await passing(world.clock, first.lanes.ack(early), 500);
  assert.equal(await committedOf(world), 40 - moved.length);
  await passing(world.clock, second.lanes.ack(moved), 500);
  assert.equal(await committedOf(world), 40);
  assert.deepEqual(idsOf(await takeAll(world, first.lanes)), []);
});

test("a graceful close commits what is settled, answers those who wait, and leaves the rest to others", async () => {
  const world = await openLogWorld(1);
  const { lanes } = await world.start();
  await append(world, lanes, 3);
  const [one, two, three] = await takeAll(world, lanes);
  assert.ok(one && two && three);
  await lanes.ack([one]);
  const settling = lanes.ack([two]);
  const waiting = lanes.take("medium", 1, NEVER);
  await passing(world.clock, lanes[Symbol.asyncDispose](), 50);
  assert.deepEqual([await waiting, await committedOf(world)], [[], 2]);
  await settling;
  await lanes.ack([three]);
  const other = await world.start();
  assert.deepEqual(idsOf(await takeAll(world, other.lanes)), [three.envelope.id]);
});

test("while the log does not answer, ack() rejects as store-unavailable, and what it settled is committed later", async () => {
  const world = await openLogWorld(1);
  const { lanes } = await world.start();
  await append(world, lanes, 2);
  const items = await takeAll(world, lanes);
  world.partitionLog.setReachable(false);
  await assert.rejects(lanes.ack(items), withCode("store-unavailable"));
  world.partitionLog.setReachable(true);
  await world.clock.advance(1500);
  assert.equal(await committedOf(world), 2);
});

test("until the end of a new partition is known its items count as repeats", async () => {
  const world = await openLogWorld(1);
  const producer = world.partitionLog.openProducer("lanes");
  let failures = 4;
  const lanes = createLanesOf(world, {
    partitionLog: {
      ...world.partitionLog,
      depth: (group, topic) =>
        failures-- > 0 ? Promise.reject(new Error("no")) : world.partitionLog.depth(group, topic),
    },
    clock: world.clock,
    producer,
  });
  await passing(world.clock, lanes.startReading(), JOIN_MS);
  await append(world, lanes, 1, "early");
  assert.deepEqual(
    (await takeAll(world, lanes)).map(({ isRepeat }) => isRepeat),
    [true],
  );
  await world.clock.advance(2000);
  await append(world, lanes, 1, "later");
  assert.deepEqual(
    (await takeAll(world, lanes)).map(({ isRepeat }) => isRepeat),
    [false],
  );
});

function openCommits() {
  const clock = createManualClock(0);
  const calls: { readonly next: number; readonly atMs: number; end(error?: Error): void }[] = [];
  let head = 0;
  const partition = {
    topic: "t",
    partition: 0,
    from: 0,
    pause: () => undefined,
    resume: () => undefined,
    commit: (next: number) =>
      new Promise<void>((resolve, reject) => {
        const end = (error?: Error) => (error === undefined ? resolve() : reject(error));
        calls.push({ next, atMs: clock.now(), end });
      }),
  };
  const commits = createLaneCommits({ clock, partition, head: () => head });
  const moveTo = (next: number): void => {
    head = next;
    commits.request();
  };
  return { clock, calls, commits, moveTo };
}

test("commits: the first goes at once, then one at a time and at most one in 100 ms, each with all that settled", async () => {
  const { clock, calls, moveTo } = openCommits();
  moveTo(1);
  moveTo(2);
  await clock.advance(300);
  assert.deepEqual(
    calls.map(({ next, atMs }) => [next, atMs]),
    [[1, 0]],
  );
  calls[0]?.end();
  await clock.settle();
  moveTo(3);
  calls[1]?.end();
  await clock.advance(99);
  moveTo(5);
  await clock.advance(1);
  assert.deepEqual(
    calls.map(({ next, atMs }) => [next, atMs]),
    [
      [1, 0],
      [2, 300],
      [5, 400],
    ],
  );
});

test("commits: a failure tells those who wait and is repeated; a loss tells them, too, and ends it", async () => {
  const { clock, calls, commits, moveTo } = openCommits();
  moveTo(1);
  const told = commits.committed();
  calls[0]?.end(new Error("no"));
  await assert.rejects(told, withCode("store-unavailable"));
  await clock.advance(1000);
  assert.deepEqual(
    calls.map(({ next }) => next),
    [1, 1],
  );
  const second = commits.committed();
  commits.drop();
  await second;
  calls[1]?.end();
  moveTo(9);
  await clock.advance(5000);
  assert.equal(calls.length, 2);
});

type Step = { readonly kind: "append" | "take" | "ack" | "release" | "join" | "crash" | "wait"; readonly pick: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom<Step["kind"][]>(
      "append",
      "append",
      "take",
      "take",
      "ack",
      "ack",
      "release",
      "join",
      "crash",
      "wait",
    ),
    pick: fc.nat(),
  }),
  { maxLength: 30 },
);

/** Runs the steps, then lets one new process do the rest; the ids done and given away by then. */
async function live(list: readonly Step[]): Promise<{ readonly appended: number; readonly done: Set<string> }> {
  const world = await openLogWorld(3);
  const processes = [{ ...(await world.start({ ageMsMax: 5000, recordsMax: 8 })), held: [] as LaneItem[] }];
  const done = new Set<string>();
  let appended = 0;
  for (const { kind, pick } of list) {
    const index = pick % processes.length;
    const process = processes[index];
    assert.ok(process);
    const { lanes, held } = process;
    if (kind === "append") await append(world, lanes, 5, `evt_${appended++}`);
    else if (kind === "take") held.push(...(await takeAll(world, lanes, 1 + (pick % 7))));
    else if (kind === "wait") await world.clock.advance(pick % 9000);
    else if (kind === "join" && processes.length < 3) {
      processes.push({ ...(await world.start({ ageMsMax: 5000, recordsMax: 8 })), held: [] });
    } else if (kind === "crash" && processes.length > 1) {
      await process.crash();
      processes.splice(index, 1);
    } else {
      const some = held.splice(pick % (held.length + 1), 4);
      if (kind === "release") await lanes.release(some);
      else {
        for (const id of idsOf(some)) done.add(id);
        await passing(world.clock, lanes.ack(some), 300);
      }
    }
  }
  for (const process of processes) await process.crash();
  const last = await world.start();
  for (const id of [...idsOf(await takeAll(world, last.lanes)), ...world.offloaded]) done.add(id);
  return { appended: appended * 5, done };
}

test("through takes, acks, releases, joins and crashes in any order every event is done, given away or handed out again", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const { appended, done } = await live(list);
      assert.equal(done.size, appended);
    }),
    { numRuns: 200 },
  );
});
