import assert from "node:assert/strict";
import { test } from "node:test";
import type { WaitingRoom } from "@posthaste/processor/endpoint/waiting-room.ts";
import { createWaitingRoom } from "@posthaste/processor/endpoint/waiting-room.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import fc from "fast-check";
import { deliveryOf, endpointOf, envelopeOf } from "../../support/samples.ts";

const endpoint = endpointOf("ep1");
const noLowWaiting = { came: () => undefined, went: () => undefined };

function push(room: WaitingRoom, lane: Lane, id: string, sinceMs = 0, isCounted = false): void {
  const delivery = deliveryOf(envelopeOf(id, lane), "ep1");
  room.push({ delivery, endpoint, sinceMs, isCounted, resolve: () => undefined });
}

function frontOf(room: WaitingRoom, lane: Lane): string | null {
  return room.peek(lane)?.delivery.members[0]?.id ?? null;
}

test("an empty room has nobody, in no lane and since never", () => {
  const room = createWaitingRoom(noLowWaiting);
  assert.deepEqual(
    [...LANES.map((lane) => room.peek(lane)), room.count(), room.oldestSinceMs()],
    [null, null, null, 0, null],
  );
});

test("within a lane who came first is first", () => {
  const room = createWaitingRoom(noLowWaiting);
  for (const id of ["a", "b", "c"]) push(room, "medium", id);
  assert.equal(frontOf(room, "medium"), "a");
  room.shift("medium");
  assert.deepEqual([frontOf(room, "medium"), room.count()], ["b", 2]);
});

test("a newcomer stands behind its own lane and those above it", () => {
  const room = createWaitingRoom(noLowWaiting);
  push(room, "high", "a");
  push(room, "medium", "b");
  push(room, "medium", "c");
  push(room, "low", "d");
  assert.deepEqual(
    LANES.map((lane) => room.ahead(lane)),
    [1, 3, 4],
  );
});

test("the one that waits longest is found in any lane", () => {
  const room = createWaitingRoom(noLowWaiting);
  push(room, "high", "a", 30);
  push(room, "low", "b", 10);
  push(room, "medium", "c", 20);
  assert.equal(room.oldestSinceMs(), 10);
});

test("takeOlder() takes those from before a time and leaves the rest, HIGH first", () => {
  const room = createWaitingRoom(noLowWaiting);
  push(room, "low", "a", 10);
  push(room, "low", "b", 20);
  push(room, "high", "c", 15);
  push(room, "high", "d", 25);
  assert.deepEqual(
    room.takeOlder(20).map(({ delivery }) => delivery.members[0]?.id),
    ["c", "a"],
  );
  assert.deepEqual([room.count(), frontOf(room, "low"), frontOf(room, "high")], [2, "b", "d"]);
});

test("takeOlder(Infinity) empties the room", () => {
  const room = createWaitingRoom(noLowWaiting);
  for (const lane of LANES) push(room, lane, lane);
  assert.deepEqual([room.takeOlder(Infinity).length, room.count(), room.oldestSinceMs()], [3, 0, null]);
});

test("whatever comes and goes, each lane is a queue", () => {
  const anySteps = fc.array(fc.tuple(fc.constantFrom(...LANES), fc.boolean()), { maxLength: 400 });
  fc.assert(
    fc.property(anySteps, (steps) => {
      const room = createWaitingRoom(noLowWaiting);
      const queues: Record<Lane, string[]> = { high: [], medium: [], low: [] };
      for (const [index, [lane, isPush]] of steps.entries()) {
        if (isPush) {
          push(room, lane, `evt_${index}`);
          queues[lane].push(`evt_${index}`);
        } else if (queues[lane].length > 0) {
          room.shift(lane);
          queues[lane].shift();
        }
        assert.deepEqual(
          LANES.map((each) => frontOf(room, each)),
          LANES.map((each) => queues[each][0] ?? null),
        );
      }
      assert.equal(
        room.count(),
        LANES.reduce((sum, lane) => sum + queues[lane].length, 0),
      );
    }),
    { numRuns: 50 },
  );
});

test("a long queue that moves on keeps its order through its compaction", () => {
  const room = createWaitingRoom(noLowWaiting);
  for (let index = 0; index < 300; index++) push(room, "low", `evt_${index}`);
  for (let index = 0; index < 300; index++) {
    assert.deepEqual([frontOf(room, "low"), room.count()], [`evt_${index}`, 300 - index]);
    room.shift("low");
  }
});

test("of those that are counted it is told that they come and go", () => {
  const low = { count: 0 };
  const told = { came: () => void (low.count += 1), went: () => void (low.count -= 1) };
  const [one, other] = [createWaitingRoom(told), createWaitingRoom(told)];
  push(one, "low", "a", 0, true);
  push(one, "low", "b", 5, false);
  push(one, "low", "c", 9, true);
  push(one, "high", "d");
  push(other, "low", "e", 0, true);
  assert.equal(low.count, 3);
  one.shift("low");
  one.shift("low");
  one.shift("high");
  assert.equal(low.count, 2);
  one.takeOlder(Infinity);
  other.shift("low");
  other.shift("low");
  assert.equal(low.count, 0);
});
