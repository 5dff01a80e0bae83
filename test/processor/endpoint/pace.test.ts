import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointPace } from "@posthaste/processor/endpoint/pace.ts";
import { createEndpointPace } from "@posthaste/processor/endpoint/pace.ts";
import fc from "fast-check";

function open(parts: Partial<{ capFirst: number; capStart: number; capMax: number }> = {}): EndpointPace {
  return createEndpointPace({ capFirst: 64, capStart: 16, capMax: 64, ...parts });
}

/** Begins `count` attempts at `atMs`. */
function begin(pace: EndpointPace, count: number, atMs: number): number[] {
  return Array.from({ length: count }, () => pace.begin(atMs));
}

test("the cap begins where it is told to", () => assert.equal(open({ capStart: 7 }).cap(), 7));

test("the cap is smaller until the first answer, and a good one raises it to its start", () => {
  const pace = open({ capFirst: 4 });
  const token = pace.begin(0);
  assert.equal(pace.cap(), 4);
  pace.end(token, 10, "healthy");
  assert.equal(pace.cap(), 16);
});

test("an attempt that was broken off is no first answer, and an overload raises nothing", () => {
  const pace = open({ capFirst: 4 });
  pace.end(pace.begin(0), 10, "none");
  assert.equal(pace.cap(), 4);
  pace.end(pace.begin(10), 20, "overloaded");
  pace.end(pace.begin(30), 40, "healthy");
  assert.equal(pace.cap(), 2);
});

test("a capful of good answers raises the cap by one", () => {
  const pace = open({ capStart: 4 });
  for (const token of begin(pace, 4, 0)) {
    assert.equal(pace.cap(), 4);
    pace.end(token, 10, "healthy");
    pace.begin(10);
  }
  pace.end(pace.begin(10), 20, "healthy");
  assert.equal(pace.cap(), 5);
});

test("good answers raise no cap that was not used up", () => {
  const pace = open({ capStart: 4 });
  for (let answer = 0; answer < 100; answer++) pace.end(pace.begin(answer), answer + 1, "healthy");
  assert.equal(pace.cap(), 4);
});

test("overload halves the cap, once for all that were in flight together", () => {
  const pace = open();
  for (const token of begin(pace, 16, 0)) pace.end(token, 100, "overloaded");
  assert.equal(pace.cap(), 8);
});

test("overload in the next round trip halves the cap again, down to one attempt and no further", () => {
  const pace = open();
  const caps = [1, 2, 3, 4, 5, 6].map((round) => {
    pace.end(pace.begin(round * 100), round * 100 + 50, "overloaded");
    return pace.cap();
  });
  assert.deepEqual(caps, [8, 4, 2, 1, 1, 1]);
});

test("a straggler of the round trip before does not halve the cap again", () => {
  const pace = open();
  const [first = 0, straggler = 0] = begin(pace, 2, 0);
  pace.end(first, 100, "overloaded");
  pace.end(straggler, 5000, "overloaded");
  assert.equal(pace.cap(), 8);
});

test("an attempt that was broken off teaches nothing and is no longer in flight", () => {
  const pace = open();
  const token = pace.begin(0);
  assert.equal(pace.inFlight(), 1);
  pace.end(token, 15_000, "none");
  assert.deepEqual([pace.cap(), pace.inFlight(), pace.waitMs(100, 15_000)], [16, 0, 0]);
});

test("whatever comes back in whatever order, the cap stays within its bounds", () => {
  const anyAnswer = fc.record({
    slot: fc.nat({ max: 9 }),
    verdict: fc.constantFrom("healthy" as const, "overloaded" as const, "none" as const),
    tookMs: fc.nat({ max: 500 }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(anyAnswer, { maxLength: 200 }), (capStart, answers) => {
      const pace = open({ capStart, capMax: 8 });
      const flying: number[] = begin(pace, 10, 0);
      let nowMs = 0;
      for (const { slot, verdict, tookMs } of answers) {
        nowMs += tookMs;
        pace.end(flying[slot] ?? 0, nowMs, verdict);
        flying[slot] = pace.begin(nowMs);
        assert.ok(pace.cap() >= 1 && pace.cap() <= 8);
        assert.equal(pace.inFlight(), 10);
      }
    }),
  );
});

test("nobody waits while there is room under the cap", () => {
  const pace = open({ capStart: 4 });
  pace.end(pace.begin(0), 1000, "healthy");
  begin(pace, 3, 1000);
  assert.equal(pace.waitMs(0, 1000), 0);
});

test("who stands behind a full cap waits for its share of an answer's time", () => {
  const pace = open({ capStart: 4 });
  pace.end(pace.begin(0), 1000, "healthy");
  begin(pace, 4, 1000);
  assert.deepEqual(
    [0, 3, 7].map((ahead) => pace.waitMs(ahead, 1000)),
    [250, 1000, 2000],
  );
});

test("an attempt that hangs makes the expected wait grow with its age", () => {
  const pace = open({ capStart: 1 });
  pace.begin(0);
  assert.deepEqual(
    [0, 500, 9000].map((nowMs) => pace.waitMs(0, nowMs)),
    [0, 500, 9000],
  );
});

test("reserved slots are spread at the rate that is allowed", () => {
  const pace = open();
  assert.deepEqual(
    [1, 2, 3, 4].map(() => pace.reserve(10_000, 100)),
    [10_000, 10_010, 10_020, 10_030],
  );
});

test("reserved slots are spread at twice the endpoint's own pace when that is slower", () => {
  const pace = open({ capStart: 4 });
  pace.end(pace.begin(0), 400, "healthy");
  assert.deepEqual(
    [1, 2, 3].map(() => pace.reserve(10_000, 100)),
    [10_000, 10_050, 10_100],
  );
});

test("reserved slots lie a second apart at most, however slow the endpoint is", () => {
  const pace = open({ capStart: 1 });
  pace.end(pace.begin(0), 15_000, "healthy");
  assert.deepEqual(
    [1, 2, 3].map(() => pace.reserve(20_000, null)),
    [20_000, 21_000, 22_000],
  );
});

test("a reserved slot is never before its time, and never more than half an hour behind it", () => {
  const pace = open({ capStart: 1 });
  pace.end(pace.begin(0), 15_000, "healthy");
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 100_000 }), { maxLength: 100 }), (times) => {
      for (const atMs of times) {
        const slotMs = pace.reserve(atMs, 1);
        assert.ok(slotMs >= atMs && slotMs <= atMs + 1_800_000 && Number.isInteger(slotMs), `${slotMs} for ${atMs}`);
      }
    }),
  );
});
