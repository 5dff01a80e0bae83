/** What every implementation of the port `rate-limiter` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LimitVerdict } from "@posthaste/shared/ports/rate-limiter.ts";
import type { OpenHarness } from "./harness.ts";

interface Call {
  readonly waitMs: number;
  readonly cost: number;
}

const calls: fc.Arbitrary<Call[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.constant(1), fc.nat({ max: 120 })),
    cost: fc.integer({ min: 1, max: 4 }),
  }),
  { maxLength: 60 },
);
const rates = fc.record({ limit: fc.integer({ min: 1, max: 12 }), windowMs: fc.integer({ min: 1, max: 100 }) });

/** Who calls at the same time. */
const crowds = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.nat({ max: 120 })),
    calls: fc.array(
      fc.record({
        subject: fc.constantFrom("x", "y", "z"),
        isOther: fc.boolean(),
        cost: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 6 })),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  }),
  { maxLength: 10 },
);

function timeless({ isGranted, remaining, resetMs }: LimitVerdict): Omit<LimitVerdict, "atMs"> {
  return { isGranted, remaining, resetMs };
}

export function rateLimiterContract(name: string, open: OpenHarness): void {
  const rate = { limit: 3, windowMs: 1000 };

  test(`${name} rate limiter: grants up to the limit at once and refuses the next`, async () => {
    await using harness = await open();
    const verdicts = [];
    for (let call = 0; call < 4; call++) verdicts.push(await harness.drivers.rateLimiter.take("a", rate, 1));
    assert.deepEqual(
      verdicts.map(({ isGranted }) => isGranted),
      [true, true, true, false],
    );
    assert.deepEqual(
      verdicts.map(({ remaining }) => remaining),
      [2, 1, 0, 0],
    );
  });

  test(`${name} rate limiter: a grant counts until the last millisecond of its window`, async () => {
    await using harness = await open();
    const one = { limit: 1, windowMs: 1000 };
    await harness.drivers.rateLimiter.take("a", one, 1);
    await harness.clock.advance(999);
    assert.deepEqual(timeless(await harness.drivers.rateLimiter.take("a", one, 1)), {
      isGranted: false,
      remaining: 0,
      resetMs: 1,
    });
    await harness.clock.advance(1);
    assert.deepEqual(timeless(await harness.drivers.rateLimiter.take("a", one, 1)), {
      isGranted: true,
      remaining: 0,
      resetMs: 1000,
    });
  });

  test(`${name} rate limiter: a burst at the end of one window and the start of the next is refused`, async () => {
    await using harness = await open();
    const take = async () => (await harness.drivers.rateLimiter.take("a", rate, 1)).isGranted;
    await harness.clock.advance(990);
    assert.deepEqual([await take(), await take(), await take()], [true, true, true]);
    await harness.clock.advance(20);
    assert.equal(await take(), false);
  });

  test(`${name} rate limiter: refused calls are not logged, so knocking does not lock out longer`, async () => {
    await using harness = await open();
    await harness.drivers.rateLimiter.take("a", { limit: 1, windowMs: 1000 }, 1);
    for (let knock = 0; knock < 9; knock++) {
      await harness.clock.advance(100);
      await harness.drivers.rateLimiter.take("a", { limit: 1, windowMs: 1000 }, 1);
    }
    await harness.clock.advance(100);
    assert.equal((await harness.drivers.rateLimiter.take("a", { limit: 1, windowMs: 1000 }, 1)).isGranted, true);
  });

  test(`${name} rate limiter: a cost is taken whole or not at all`, async () => {
    await using harness = await open();
    const { rateLimiter } = harness.drivers;
    assert.equal((await rateLimiter.take("a", rate, 2)).isGranted, true);
    const refused = await rateLimiter.take("a", rate, 2);
    assert.deepEqual(timeless(refused), { isGranted: false, remaining: 1, resetMs: 1000 });
    assert.equal((await rateLimiter.take("a", rate, 1)).isGranted, true);
  });

  test(`${name} rate limiter: a cost over the limit is never granted and takes nothing`, async () => {
    await using harness = await open();
    const refused = await harness.drivers.rateLimiter.take("a", rate, 4);
    assert.deepEqual([refused.isGranted, refused.remaining], [false, 3]);
    assert.ok(refused.resetMs >= 0);
    assert.equal((await harness.drivers.rateLimiter.take("a", rate, 3)).isGranted, true);
  });

  test(`${name} rate limiter: resetMs of a refusal is the time at which the same call is granted`, async () => {
    await using harness = await open();
    const { rateLimiter } = harness.drivers;
    for (const waitMs of [0, 100, 100]) {
      await harness.clock.advance(waitMs);
      await rateLimiter.take("a", rate, 1);
    }
    const { resetMs } = await rateLimiter.take("a", rate, 2);
    assert.equal(resetMs, 900);
    await harness.clock.advance(resetMs - 1);
    assert.equal((await rateLimiter.take("a", rate, 2)).isGranted, false);
    await harness.clock.advance(1);
    assert.equal((await rateLimiter.take("a", rate, 2)).isGranted, true);
  });

  test(`${name} rate limiter: what is given back leaves the log as if it had never been granted`, async () => {
    await using harness = await open();
    const { rateLimiter } = harness.drivers;
    const ten = { limit: 10, windowMs: 60_000 };
    await rateLimiter.take("a", ten, 4);
    await harness.clock.advance(30_000);
    const { atMs } = await rateLimiter.take("a", ten, 5);
    await harness.clock.advance(1000);
    await rateLimiter.take("a", ten, 1);
    assert.deepEqual(await rateLimiter.giveBack("a", ten, { cost: 5, atMs }), { remaining: 5, resetMs: 60_000 });
    const { isGranted, resetMs } = await rateLimiter.take("a", ten, 6);
    assert.deepEqual([isGranted, resetMs], [false, 29_000], "the four of the beginning leave first");
    await harness.clock.advance(29_000);
    assert.equal((await rateLimiter.take("a", ten, 9)).isGranted, true);
    assert.equal((await rateLimiter.take("a", ten, 1)).isGranted, false);
  });

  test(`${name} rate limiter: what has left the window, or was never there, gives nothing back`, async () => {
    await using harness = await open();
    const { rateLimiter } = harness.drivers;
    const { atMs } = await rateLimiter.take("a", rate, 3);
    await harness.clock.advance(1000);
    assert.equal((await rateLimiter.take("a", rate, 3)).isGranted, true);
    assert.equal((await rateLimiter.giveBack("a", rate, { cost: 3, atMs })).remaining, 0);
    assert.deepEqual(await rateLimiter.giveBack("b", rate, { cost: 3, atMs }), { remaining: 3, resetMs: 0 });
    assert.equal((await rateLimiter.take("b", rate, 3)).isGranted, true);
    assert.equal((await rateLimiter.take("b", rate, 1)).isGranted, false);
  });

  test(`${name} rate limiter: verdicts are those of a log without what was given back, whatever the calls`, async () => {
    await using harness = await open();
    let subject = 0;
    await fc.assert(
      fc.asyncProperty(rates, calls, fc.infiniteStream(fc.boolean()), async (anyRate, anyCalls, refusals) => {
        subject++;
        let grants: { atMs: number; cost: number }[] = [];
        for (const { waitMs, cost } of anyCalls) {
          await harness.clock.advance(waitMs);
          const nowMs = harness.clock.now();
          const live = (): number =>
            grants.filter(({ atMs }) => atMs > nowMs - anyRate.windowMs).reduce((sum, grant) => sum + grant.cost, 0);
          const verdict = await harness.drivers.rateLimiter.take(`given ${subject}`, anyRate, cost);
          assert.equal(verdict.isGranted, live() + cost <= anyRate.limit);
          if (verdict.isGranted) grants.push({ atMs: nowMs, cost });
          const first = grants.find(({ atMs }) => atMs > nowMs - anyRate.windowMs);
          if (first === undefined || refusals.next().value !== true) continue;
          const left = await harness.drivers.rateLimiter.giveBack(`given ${subject}`, anyRate, {
            cost: first.cost,
            atMs: verdict.atMs - (nowMs - first.atMs),
          });
          grants = grants.filter((grant) => grant !== first);
          assert.equal(left.remaining, anyRate.limit - live());
        }
      }),
      { numRuns: 40 },
    );
  });

  test(`${name} rate limiter: calls at the same time are as calls one after the other, whatever they ask for`, async () => {
    await using harness = await open();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(rates, crowds, async (anyRate, anyCrowds) => {
        run++;
        // A limit that was changed just now.
        const other = { limit: anyRate.limit + 3, windowMs: 2 * anyRate.windowMs };
        type Crowd = (typeof anyCrowds)[number]["calls"];
        const take = async (place: string, { subject, cost, isOther }: Crowd[number]) => {
          const asked = isOther && subject === "x" ? other : anyRate;
          return timeless(await harness.drivers.rateLimiter.take(`${place} ${run} ${subject}`, asked, cost));
        };
        for (const { waitMs, calls: crowd } of anyCrowds) {
          await harness.clock.advance(waitMs);
          const together = await Promise.all(crowd.map((call) => take("together", call)));
          const apart = [];
          for (const call of crowd) apart.push(await take("apart", call));
          assert.deepEqual(together, apart);
        }
      }),
      { numRuns: 40 },
    );
  });

  test(`${name} rate limiter: subjects do not share their units`, async () => {
    await using harness = await open();
    await harness.drivers.rateLimiter.take("a", { limit: 1, windowMs: 1000 }, 1);
    assert.equal((await harness.drivers.rateLimiter.take("b", { limit: 1, windowMs: 1000 }, 1)).isGranted, true);
  });

  test(`${name} rate limiter: a step of the wall clock back neither locks out nor lets more through`, async () => {
    await using harness = await open();
    const { rateLimiter } = harness.drivers;
    await rateLimiter.take("a", { limit: 1, windowMs: 1000 }, 1);
    await harness.clock.advance(500);
    await rateLimiter.take("b", rate, 1);
    harness.clock.stepWall(-3600_000);
    assert.equal((await rateLimiter.take("a", { limit: 1, windowMs: 1000 }, 1)).isGranted, false);
    await harness.clock.advance(500);
    assert.equal((await rateLimiter.take("a", { limit: 1, windowMs: 1000 }, 1)).isGranted, true);
  });

  test(`${name} rate limiter: after steps of the wall clock each way a window has its limit`, async () => {
    await using harness = await open();
    const { rateLimiter } = harness.drivers;
    const granted = async (): Promise<number> => {
      let count = 0;
      for (let asked = 0; asked < 5; asked++) {
        if ((await rateLimiter.take("a", { limit: 2, windowMs: 1000 }, 1)).isGranted) count += 1;
      }
      return count;
    };
    assert.equal(await granted(), 2);
    for (const step of [-60_000, -3600_000, 3600_000, 60_000, -3600_000]) {
      harness.clock.stepWall(step);
      // What a step forward frees is granted at once; no step grants more than a window's limit, or locks out.
      assert.ok((await granted()) <= 2);
      await harness.clock.advance(1000);
      assert.equal(await granted(), 2, String(step));
    }
  });

  test(`${name} rate limiter: past its bound the subject idle longest is forgotten, and no other`, async () => {
    await using harness = await open({ limitSubjectsMax: 2 });
    const { rateLimiter } = harness.drivers;
    const take = async (subject: string) =>
      (await rateLimiter.take(subject, { limit: 1, windowMs: 1000 }, 1)).isGranted;
    assert.deepEqual([await take("a"), await take("b")], [true, true]);
    assert.equal(await take("a"), false);
    assert.equal(await take("c"), true);
    assert.deepEqual([await take("a"), await take("b")], [false, true]);
  });

  test(`${name} rate limiter: verdicts are those of a log of all grants, whatever the calls`, async () => {
    await using harness = await open();
    let subject = 0;
    await fc.assert(
      fc.asyncProperty(rates, calls, async (anyRate, anyCalls) => {
        subject++;
        const grants: { atMs: number; cost: number }[] = [];
        for (const { waitMs, cost } of anyCalls) {
          await harness.clock.advance(waitMs);
          const nowMs = harness.clock.now();
          const live = grants.filter(({ atMs }) => atMs > nowMs - anyRate.windowMs);
          const used = live.reduce((sum, grant) => sum + grant.cost, 0);
          const verdict = await harness.drivers.rateLimiter.take(`subject ${subject}`, anyRate, cost);
          assert.equal(verdict.isGranted, used + cost <= anyRate.limit);
          assert.equal(verdict.remaining, anyRate.limit - used - (verdict.isGranted ? cost : 0));
          if (verdict.isGranted) grants.push({ atMs: nowMs, cost });
        }
      }),
      { numRuns: 40 },
    );
  });

  test(`${name} rate limiter: a unit of a long window is free again at most a thousandth of it late, and resetMs tells when`, async () => {
    await using harness = await open();
    const { rateLimiter } = harness.drivers;
    const day = { limit: 40, windowMs: 86_400_000 };
    const grants: number[] = [];
    for (let call = 0; call < 120; call++) {
      const { isGranted, resetMs } = await rateLimiter.take("a", day, 1);
      const nowMs = harness.clock.now();
      const counting = grants.filter((atMs) => atMs > nowMs - day.windowMs).length;
      if (isGranted) {
        assert.ok(counting < day.limit, `${counting} of ${day.limit} in a window`);
        grants.push(nowMs);
      } else {
        const oldest = grants.at(-day.limit) ?? 0;
        assert.ok(nowMs + resetMs >= oldest + day.windowMs);
        assert.ok(nowMs + resetMs <= oldest + day.windowMs * (1 + 1 / 1000), String(resetMs));
        await harness.clock.advance(resetMs - 1);
        assert.equal((await rateLimiter.take("a", day, 1)).isGranted, false);
        await harness.clock.advance(1);
        continue;
      }
      await harness.clock.advance(50_000 * (call % 3));
    }
    assert.ok(grants.length > day.limit, String(grants.length));
  });

  test(`${name} rate limiter: in no window, wherever it begins, is more than the limit granted`, async () => {
    await using harness = await open();
    let subject = 0;
    await fc.assert(
      fc.asyncProperty(rates, calls, async (anyRate, anyCalls) => {
        subject++;
        const grants: { atMs: number; cost: number }[] = [];
        for (const { waitMs, cost } of anyCalls) {
          await harness.clock.advance(waitMs);
          const { isGranted } = await harness.drivers.rateLimiter.take(`window ${subject}`, anyRate, cost);
          if (isGranted) grants.push({ atMs: harness.clock.now(), cost });
        }
        for (const { atMs: fromMs } of grants) {
          const inWindow = grants.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + anyRate.windowMs);
          const granted = inWindow.reduce((sum, { cost }) => sum + cost, 0);
          assert.ok(granted <= anyRate.limit, `${granted} of ${anyRate.limit} in a window`);
        }
      }),
      { numRuns: 40 },
    );
  });
}
