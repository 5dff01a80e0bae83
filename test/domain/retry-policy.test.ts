import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ATTEMPTS_MAX,
  attemptOfPolicy,
  attemptsAllowed,
  attemptsMade,
  DEFAULT_RETRY_POLICY,
  JITTER,
  parseRetryAfterMs,
  RetryPolicy,
  WAIT_S_MAX,
  waitBeforeMs,
} from "@posthaste/shared/domain/retry-policy.ts";
import fc from "fast-check";
import * as v from "valibot";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const EVEN = 0.5;

const anyWaitS = fc.oneof(fc.nat({ max: WAIT_S_MAX }), fc.double({ min: 0, max: WAIT_S_MAX, noNaN: true }));
const anyList = fc.array(anyWaitS, { minLength: 1, maxLength: ATTEMPTS_MAX }).map((delays_s) => ({ delays_s }));
const anyBackoff = fc.record(
  {
    base_s: fc.double({ min: 0.001, max: WAIT_S_MAX, noNaN: true }),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    max_s: fc.double({ min: 0.001, max: WAIT_S_MAX, noNaN: true }),
    attempts: fc.integer({ min: 1, max: ATTEMPTS_MAX }),
  },
  { noNullPrototype: true },
);
const anyPolicy: fc.Arbitrary<RetryPolicy> = fc.oneof(anyList, anyBackoff);
const anyFraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const refused: readonly (readonly [what: string, policy: unknown])[] = [
  ["an empty list", { delays_s: [] }],
  ["a list longer than the most attempts", { delays_s: Array.from({ length: ATTEMPTS_MAX + 1 }, () => 1) }],
  ["a negative wait", { delays_s: [0, -1] }],
  ["a wait beyond a week", { delays_s: [0, WAIT_S_MAX + 1] }],
  ["a wait that is no number", { delays_s: ["5"] }],
  ["an endless wait", { delays_s: [Infinity] }],
  ["a member that is not known", { delays_s: [0], jitter: 1 }],
  ["a base of 0", { base_s: 0, factor: 2, max_s: 60, attempts: 3 }],
  ["a longest wait of 0", { base_s: 1, factor: 2, max_s: 0, attempts: 3 }],
  ["a factor below 1", { base_s: 1, factor: 0.5, max_s: 60, attempts: 3 }],
  ["a factor above 10", { base_s: 1, factor: 11, max_s: 60, attempts: 3 }],
  ["no attempts", { base_s: 1, factor: 2, max_s: 60, attempts: 0 }],
  ["half an attempt", { base_s: 1, factor: 2, max_s: 60, attempts: 1.5 }],
  ["more than the most attempts", { base_s: 1, factor: 2, max_s: 60, attempts: ATTEMPTS_MAX + 1 }],
  ["a backoff without its attempts", { base_s: 1, factor: 2, max_s: 60 }],
  ["both forms at once", { delays_s: [0], base_s: 1, factor: 2, max_s: 60, attempts: 3 }],
  ["nothing at all", {}],
];

for (const [what, policy] of refused) {
  test(`a retry policy with ${what} is refused`, () => {
    assert.equal(v.safeParse(RetryPolicy, policy).success, false);
  });
}

test("every policy within the bounds is taken as it is", () => {
  fc.assert(fc.property(anyPolicy, (policy) => assert.deepEqual(v.parse(RetryPolicy, policy), policy)));
});

test("the default policy makes ten attempts within three days and a half", () => {
  assert.equal(attemptsAllowed(DEFAULT_RETRY_POLICY), 10);
  assert.equal(attemptOfPolicy(DEFAULT_RETRY_POLICY, 10), "attempt 10 of 10");
  assert.equal(attemptOfPolicy(DEFAULT_RETRY_POLICY, 11), "attempt 11 (the retry schedule allows 10 by now)");
  assert.equal(attemptsMade(DEFAULT_RETRY_POLICY, 10), "10 of 10 attempts made");
  assert.equal(attemptsMade(DEFAULT_RETRY_POLICY, 11), "11 attempts made (the retry schedule allows 10 by now)");
  const waits = Array.from({ length: 10 }, (_, index) => waitBeforeMs(DEFAULT_RETRY_POLICY, index + 1, EVEN) ?? NaN);
  assert.deepEqual(
    waits.map((ms) => ms / 1000),
    [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
  );
});

test("a backoff waits base, base times factor, and so on up to its longest wait", () => {
  const policy = { base_s: 2, factor: 3, max_s: 60, attempts: 7 };
  const waits = [1, 2, 3, 4, 5, 6, 7].map((attempt) => waitBeforeMs(policy, attempt, EVEN));
  assert.deepEqual(waits, [0, 2000, 6000, 18_000, 54_000, 60_000, 60_000]);
});

test("there is a wait for each allowed attempt, and none before the first or after the last", () => {
  fc.assert(
    fc.property(anyPolicy, anyFraction, (policy, fraction) => {
      const count = attemptsAllowed(policy);
      for (let attempt = 1; attempt <= count; attempt++) assert.notEqual(waitBeforeMs(policy, attempt, fraction), null);
      assert.deepEqual(
        [
          waitBeforeMs(policy, 0, fraction),
          waitBeforeMs(policy, count + 1, fraction),
          waitBeforeMs(policy, -1, fraction),
        ],
        [null, null, null],
      );
    }),
  );
});

test("chance moves a wait by a fifth at most, both ways, and never below 0", () => {
  fc.assert(
    fc.property(anyPolicy, fc.integer({ min: 1, max: ATTEMPTS_MAX }), anyFraction, (policy, attempt, fraction) => {
      fc.pre(attempt <= attemptsAllowed(policy));
      const middleMs = waitBeforeMs(policy, attempt, EVEN) ?? NaN;
      const ms = waitBeforeMs(policy, attempt, fraction) ?? NaN;
      assert.ok(ms >= 0 && Number.isInteger(ms));
      assert.ok(ms >= middleMs * (1 - JITTER) - 1 && ms <= middleMs * (1 + JITTER) + 1, `${ms} of ${middleMs}`);
    }),
  );
});

test("the whole span of the jitter is used", () => {
  const policy = { delays_s: [100] };
  assert.deepEqual(
    [0, 0.25, 0.5, 0.75].map((fraction) => waitBeforeMs(policy, 1, fraction)),
    [80_000, 90_000, 100_000, 110_000],
  );
});

test("a wait of 0 stays 0 whatever chance says", () => {
  fc.assert(fc.property(anyFraction, (fraction) => assert.equal(waitBeforeMs({ delays_s: [0] }, 1, fraction), 0)));
});

const retryAfter: readonly (readonly [what: string, value: string | null, expectedMs: number | null])[] = [
  ["that is missing is nothing", null, null],
  ["in seconds is that many", "120", 120_000],
  ["of 0 is now", "0", 0],
  ["with blanks around it is read", "  30 ", 30_000],
  ["of leading zeros is read", "0007", 7000],
  ["beyond a week is cut to a week", "604801", WAIT_S_MAX * 1000],
  ["of more digits than a number holds is cut to a week", "9".repeat(400), WAIT_S_MAX * 1000],
  ["of sixteen digits is cut to a week", "1000000000000000", WAIT_S_MAX * 1000],
  ["as a date is the time until then", "Sat, 31 Jan 2026 12:02:00 GMT", 120_000],
  ["as a date of this very second is now", "Sat, 31 Jan 2026 12:00:00 GMT", 0],
  ["as a date in the past is now", "Sun, 06 Nov 1994 08:49:37 GMT", 0],
  ["as a date beyond a week is cut to a week", "Fri, 31 Dec 2100 00:00:00 GMT", WAIT_S_MAX * 1000],
  ["as a date of RFC 850 is the time until then", "Saturday, 31-Jan-26 12:02:00 GMT", 120_000],
  ["as a date of RFC 850 of the century before is now", "Sunday, 06-Nov-94 08:49:37 GMT", 0],
  ["as a date of RFC 850 up to 50 years ahead is cut to a week", "Friday, 31-Jan-76 12:00:00 GMT", WAIT_S_MAX * 1000],
  ["as a date of RFC 850 beyond 50 years ahead is of the past", "Friday, 31-Jan-77 12:00:00 GMT", 0],
  ["as a date of asctime is the time until then", "Sat Jan 31 12:02:00 2026", 120_000],
  ["as a date of asctime with one digit for the day is read", "Sun Feb  1 12:00:00 2026", 24 * 3_600_000],
  ["as a date with a leap second is the second after it", "Sat, 31 Jan 2026 12:00:60 GMT", 60_000],
  ["as the 30th of February is nothing", "Mon, 30 Feb 2026 12:00:00 GMT", null],
  ["as the 29th of February of a common year is nothing", "Sunday, 29-Feb-26 12:00:00 GMT", null],
  ["with a sign is nothing", "-5", null],
  ["with a plus is nothing", "+5", null],
  ["of half a second is nothing", "1.5", null],
  ["in exponent form is nothing", "1e3", null],
  ["in hexadecimal is nothing", "0x10", null],
  ["that is empty is nothing", "", null],
  ["of words is nothing", "soon", null],
  ["as an ISO date is nothing", "2026-01-31T12:02:00Z", null],
  ["as a date without a zone is nothing", "Sat, 31 Jan 2026 12:02:00", null],
  ["as a date of a month that is none is nothing", "Sat, 31 Xyz 2026 12:02:00 GMT", null],
  ["as a date with an hour that is none is nothing", "Sat, 31 Jan 2026 25:02:00 GMT", null],
  ["of two values is nothing", "120, 240", null],
];

for (const [what, value, expectedMs] of retryAfter) {
  test(`a Retry-After ${what}`, () => assert.equal(parseRetryAfterMs(value, NOW_MS), expectedMs));
}

test("whatever Retry-After says, it is nothing or a whole wait from 0 to a week", () => {
  const anyValue = fc.oneof(
    fc.string(),
    fc.nat().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
  );
  fc.assert(
    fc.property(anyValue, (value) => {
      const ms = parseRetryAfterMs(value, NOW_MS);
      assert.ok(ms === null || (Number.isInteger(ms) && ms >= 0 && ms <= WAIT_S_MAX * 1000), String(ms));
    }),
  );
});
