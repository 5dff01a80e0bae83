/** While Redis cannot be asked each process keeps its share of a limit by itself, as the key wishes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { recordDamaged, storeUnavailable } from "@posthaste/shared/drivers/redis/client/redis-faults.ts";
import {
  LIMITER_ANSWER_MS,
  LIMITER_WAIT_MS,
  createDistributedLimiter,
} from "@posthaste/shared/drivers/distributed/rate-limiter.ts";
import { createRateLimiter } from "@posthaste/shared/drivers/memory/rate-limiter.ts";
import type { LimitRule, LimitVerdict, RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { withCode } from "../../contract/harness.ts";

type Answers = "well" | "fails" | "hangs" | "damaged";

function openLimiter(parts: { processes?: number; subjectsMax?: number } = {}) {
  const clock = createManualClock(1_700_000_000_000);
  const shared = createRateLimiter({ clock });
  const said: string[] = [];
  let answers: Answers = "well";
  let isReachable = true;
  let isConnected = true;
  let asked = 0;
  const ask = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    asked++;
    if (answers === "well") return await call();
    if (answers === "hangs") return await new Promise<Answer>(() => undefined);
    if (answers === "damaged") throw recordDamaged("A key has another type");
    throw storeUnavailable("Redis does not answer");
  };
  const limiterOf = (): RateLimiter =>
    createDistributedLimiter({
      shared: {
        take: (...call) => ask(() => shared.take(...call)),
        giveBack: (...call) => ask(() => shared.giveBack(...call)),
      },
      local: createRateLimiter({
        clock,
        ...(parts.subjectsMax === undefined ? {} : { subjectsMax: parts.subjectsMax }),
      }),
      line: { isReachable: () => isReachable, isConnected: () => isConnected },
      processes: parts.processes ?? 1,
      clock,
      events: {
        local: () => said.push("local"),
        shared: (ms) => said.push(`shared after ${ms}`),
        decided: (mode) => said.push(mode),
      },
    });
  const limiter = limiterOf();
  /** Lets time pass until the answer is there. */
  const within = async <Answer>(call: Promise<Answer>): Promise<{ answer: Answer; waitedMs: number }> => {
    const beganMs = clock.monotonic();
    const over = new AbortController();
    const ended = call.finally(() => over.abort());
    ended.catch(() => undefined);
    await clock.settle();
    while (!over.signal.aborted) await clock.advance(1);
    return { answer: await ended, waitedMs: clock.monotonic() - beganMs };
  };
  return {
    clock,
    limiter,
    limiterOf,
    said,
    within,
    askedCount: () => asked,
    set(next: Answers, reachable = next === "well" || next === "damaged", connected = true) {
      answers = next;
      isReachable = reachable;
      isConnected = connected;
    },
    take: async (rate: LimitRule, cost = 1, by = limiter, subject = "key"): Promise<LimitVerdict> =>
      (await within(by.take(subject, rate, cost))).answer,
  };
}

const granted = (verdicts: readonly LimitVerdict[]): number => verdicts.filter(({ isGranted }) => isGranted).length;
const TEN: LimitRule = { limit: 10, windowMs: 60_000 };

test("a limit holds exactly across the loss of Redis: what the process was granted there counts in its own window", async () => {
  const { take, set, clock } = openLimiter();
  for (let call = 0; call < 4; call++) assert.equal((await take(TEN)).isLocal, undefined);
  await clock.advance(30_000);
  set("fails");
  const verdicts = [];
  for (let call = 0; call < 10; call++) verdicts.push(await take(TEN));
  assert.equal(granted(verdicts), 6);
  assert.deepEqual(
    verdicts.map(({ isLocal }) => isLocal),
    Array.from({ length: 10 }, () => true),
  );
  assert.deepEqual(
    verdicts.map(({ remaining }) => remaining),
    [5, 4, 3, 2, 1, 0, 0, 0, 0, 0],
  );
  // The four of before leave the window first.
  await clock.advance(verdicts.at(-1)?.resetMs ?? 0);
  assert.equal((await take(TEN)).isGranted, true);
});

test("with several processes each has its share, and one unit at least", async () => {
  const { take, set } = openLimiter({ processes: 4 });
  set("fails");
  const verdicts = [];
  for (let call = 0; call < 5; call++) verdicts.push(await take(TEN));
  assert.equal(granted(verdicts), 2);
  const one: LimitRule = { limit: 3, windowMs: 60_000 };
  const small = [];
  for (let call = 0; call < 3; call++) small.push(await take(one, 1, undefined, "other"));
  assert.equal(granted(small), 1);
});

test("closed refuses with store-unavailable, open grants everything", async () => {
  const { limiter, set, within, take } = openLimiter();
  set("fails");
  await assert.rejects(
    within(limiter.take("key", { ...TEN, failureMode: "closed" }, 1)),
    withCode("store-unavailable"),
  );
  for (let call = 0; call < 30; call++) {
    const verdict = await take({ ...TEN, failureMode: "open" }, 3);
    assert.deepEqual([verdict.isGranted, verdict.remaining, verdict.resetMs], [true, 10, 0]);
  }
});

for (const [what, isConnected, waitMs] of [
  ["hangs", true, LIMITER_ANSWER_MS],
  ["is not connected", false, LIMITER_WAIT_MS],
] as const)
  test(`a Redis that ${what} is waited for shortly, by a few calls; the rest ask nobody until it answers again`, async () => {
    const { limiter, set, within, said, askedCount, clock, take } = openLimiter();
    set("hangs", true, isConnected);
    const waits: number[] = [];
    for (let call = 0; call < 5; call++) waits.push((await within(limiter.take("key", TEN, 1))).waitedMs);
    assert.deepEqual(waits, [waitMs, waitMs, waitMs, 0, 0]);
    assert.equal(askedCount(), 3);
    assert.deepEqual(said, ["local", "local", "local", "local", "local", "local"], "one of them says that it began");
    set("well");
    await clock.advance(250);
    assert.equal((await take(TEN)).isLocal, undefined);
    assert.match(said.at(-1) ?? "", /^shared after \d+$/);
  });

test("a fault that passes is tried again within the wait; not while calls to Redis fail at once", async () => {
  const { limiter, set, within, askedCount, clock } = openLimiter();
  set("fails", true);
  const first = within(limiter.take("key", TEN, 1));
  await clock.advance(40);
  set("well");
  const { answer, waitedMs } = await first;
  assert.deepEqual([answer.isLocal, waitedMs <= LIMITER_WAIT_MS], [undefined, true]);
  const before = askedCount();
  set("fails", false);
  assert.equal((await within(limiter.take("key", TEN, 1))).waitedMs, 0);
  assert.equal(askedCount(), before + 1);
});

test("a damaged key of one subject is decided here and says nothing of Redis", async () => {
  const { take, set, said } = openLimiter();
  set("damaged");
  for (let call = 0; call < 5; call++) assert.equal((await take(TEN)).isLocal, true);
  assert.deepEqual(said, ["local", "local", "local", "local", "local"]);
  set("well");
  assert.equal((await take(TEN, 1, undefined, "other")).isLocal, undefined);
});

test("what a process granted by itself is given back to its own window", async () => {
  const { take, set, limiter, within } = openLimiter();
  set("fails");
  const { atMs } = await take(TEN, 8);
  const { answer } = await within(limiter.giveBack("key", TEN, { cost: 5, atMs, isLocal: true }));
  assert.equal(answer.remaining, 7);
  assert.deepEqual([(await take(TEN, 8)).isGranted, (await take(TEN, 7)).isGranted], [false, true]);
});

test("no window holds more than the limit of Redis and that of the processes together, whatever comes and goes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          waitMs: fc.nat({ max: 400 }),
          process: fc.nat({ max: 1 }),
          cost: fc.integer({ min: 1, max: 3 }),
          isAway: fc.boolean(),
        }),
        { maxLength: 60 },
      ),
      async (calls) => {
        const { take, set, limiterOf, clock } = openLimiter({ processes: 2 });
        const limiters = [limiterOf(), limiterOf()];
        const rate: LimitRule = { limit: 8, windowMs: 1000 };
        const grants: { atMs: number; cost: number; isLocal: boolean }[] = [];
        for (const { waitMs, process, cost, isAway } of calls) {
          await clock.advance(waitMs);
          set(isAway ? "fails" : "well");
          const verdict = await take(rate, cost, limiters[process]);
          const atMs = clock.monotonic();
          if (verdict.isGranted) grants.push({ atMs, cost, isLocal: verdict.isLocal === true });
          const sum = (isLocal: boolean): number =>
            grants
              .filter((grant) => grant.isLocal === isLocal && grant.atMs > atMs - rate.windowMs)
              .reduce((total, grant) => total + grant.cost, 0);
          assert.ok(sum(true) <= rate.limit && sum(false) <= rate.limit, `${sum(true)} and ${sum(false)}`);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("past the bound of subjects the one idle longest begins anew, and no other", async () => {
  const { take, set } = openLimiter({ subjectsMax: 2 });
  set("fails");
  const one: LimitRule = { limit: 1, windowMs: 60_000 };
  const grants = [];
  for (const subject of ["a", "b", "a", "c", "a", "b"]) {
    grants.push((await take(one, 1, undefined, subject)).isGranted);
  }
  assert.deepEqual(grants, [true, true, false, true, false, true]);
});
