import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult, Fault } from "@posthaste/shared/domain/attempt.ts";
import type { Outcome, Verdict } from "@posthaste/shared/domain/outcome.ts";
import { UNMADE_MAX, decide, describe, isSuccess, isUnmade, verdictOf } from "@posthaste/shared/domain/outcome.ts";
import { WAIT_S_MAX } from "@posthaste/shared/domain/retry-policy.ts";
import fc from "fast-check";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const policy = { delays_s: [0, 10, 100] };

function answered(status: number, retryAfter: string | null = null): AttemptResult {
  return { kind: "answered", status, retryAfter, bodyExcerpt: "", isBodyCut: false, durationMs: 5 };
}

function fault(name: Fault): AttemptResult {
  return { kind: "fault", fault: name, detail: "so it was", durationMs: 5 };
}

/** Without jitter. */
function outcomeOf(result: AttemptResult, attempt = 1): Outcome {
  return decide({ result, attempt, policy, nowMs: NOW_MS, fraction: 0.5 });
}

function notBeforeMs(outcome: Outcome): number {
  assert.equal(outcome.kind, "retry");
  return outcome.kind === "retry" ? outcome.notBeforeMs : NaN;
}

for (const status of [200, 201, 202, 204, 299]) {
  test(`${status} delivers`, () => assert.deepEqual(outcomeOf(answered(status)), { kind: "delivered" }));
}

for (const status of [
  199, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504, 599,
]) {
  test(`${status} is retried after the policy's wait`, () => {
    const reason = describe(answered(status));
    assert.deepEqual(outcomeOf(answered(status)), { kind: "retry", attempt: 2, notBeforeMs: NOW_MS + 10_000, reason });
  });
}

const faults = [
  "timeout",
  "connect-refused",
  "reset",
  "dns",
  "tls",
  "forbidden-address",
  "bad-answer",
  "unreachable",
] as const;
for (const name of faults) {
  test(`the fault ${name} is retried after the policy's wait, with its detail as reason`, () => {
    const reason = `${name}: so it was`;
    assert.deepEqual(outcomeOf(fault(name)), { kind: "retry", attempt: 2, notBeforeMs: NOW_MS + 10_000, reason });
  });
}

test("an attempt that we broke off ourselves is unfinished, even the last one", () => {
  assert.deepEqual(outcomeOf(fault("aborted"), 1), { kind: "unfinished" });
  assert.deepEqual(outcomeOf(fault("aborted"), 3), { kind: "unfinished" });
});

test("a look-up without an answer is no attempt, so often and no more; an answer that there is no name is one", () => {
  assert.equal(isUnmade(fault("resolver"), 0), true);
  assert.equal(isUnmade(fault("resolver"), UNMADE_MAX - 1), true);
  assert.equal(isUnmade(fault("resolver"), UNMADE_MAX), false);
  assert.equal(isUnmade(fault("exhausted"), 0), true);
  assert.equal(outcomeOf(fault("resolver")).kind, "retry");
  for (const name of faults) assert.equal(isUnmade(fault(name), 0), false);
  assert.equal(isUnmade(answered(503), 0), false);
});

test("410 ends the endpoint at the first attempt, and at the last", () => {
  assert.deepEqual(outcomeOf(answered(410), 1), { kind: "endpoint-gone", reason: "answered 410" });
  assert.deepEqual(outcomeOf(answered(410), 3), { kind: "endpoint-gone", reason: "answered 410" });
});

test("the last attempt's failure is death, and the reason tells the answer and the count", () => {
  const reason = "answered 500; attempt 3 of 3 was the last";
  assert.deepEqual(outcomeOf(answered(500), 3), { kind: "dead", reason });
});

test("an attempt beyond the policy, which was shortened meanwhile, is death when it fails and delivered when it does not", () => {
  const reason = "answered 500; attempt 7 (the retry schedule allows 3 by now) was the last";
  assert.deepEqual(outcomeOf(answered(500), 7), { kind: "dead", reason });
  assert.equal(outcomeOf(answered(204), 7).kind, "delivered");
});

test("a Retry-After beyond the policy's wait is obeyed", () => {
  assert.equal(notBeforeMs(outcomeOf(answered(503, "3600"))), NOW_MS + 3_600_000);
});

test("a Retry-After below the policy's wait shortens nothing", () => {
  assert.equal(notBeforeMs(outcomeOf(answered(503, "1"))), NOW_MS + 10_000);
});

test("a Retry-After as a date is obeyed", () => {
  assert.equal(notBeforeMs(outcomeOf(answered(429, "Sat, 31 Jan 2026 12:05:00 GMT"))), NOW_MS + 300_000);
});

test("a Retry-After is obeyed on any answer, 404 and 302 too", () => {
  for (const status of [302, 404, 500]) assert.equal(notBeforeMs(outcomeOf(answered(status, "60"))), NOW_MS + 60_000);
});

test("a Retry-After of a century waits a week", () => {
  assert.equal(notBeforeMs(outcomeOf(answered(503, "3153600000"))), NOW_MS + WAIT_S_MAX * 1000);
});

test("a Retry-After of nonsense leaves the policy's wait", () => {
  assert.equal(notBeforeMs(outcomeOf(answered(503, "tomorrow"))), NOW_MS + 10_000);
});

test("a Retry-After does not buy an attempt that the policy does not allow", () => {
  assert.equal(outcomeOf(answered(503, "1"), 3).kind, "dead");
});

const anyResult: fc.Arbitrary<AttemptResult> = fc.oneof(
  fc.record({
    kind: fc.constant("answered" as const),
    status: fc.integer({ min: 100, max: 599 }),
    retryAfter: fc.option(fc.oneof(fc.nat().map(String), fc.string())),
    bodyExcerpt: fc.string(),
    isBodyCut: fc.boolean(),
    durationMs: fc.nat(),
  }),
  fc.constantFrom(...faults, "aborted" as const).map(fault),
);

test("each result of each attempt has one outcome: never early, never past the policy, only 2xx delivers", () => {
  fc.assert(
    fc.property(
      anyResult,
      fc.integer({ min: 1, max: 4 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (result, attempt, fraction) => {
        const outcome = decide({ result, attempt, policy, nowMs: NOW_MS, fraction });
        assert.equal(outcome.kind === "delivered", result.kind === "answered" && isSuccess(result.status));
        assert.equal(outcome.kind === "unfinished", result.kind === "fault" && result.fault === "aborted");
        assert.equal(outcome.kind === "endpoint-gone", result.kind === "answered" && result.status === 410);
        if (outcome.kind === "dead") assert.ok(attempt >= 3);
        if (outcome.kind !== "retry") return;
        assert.equal(outcome.attempt, attempt + 1);
        assert.ok(attempt < 3 && outcome.notBeforeMs >= NOW_MS + (policy.delays_s[attempt] ?? 0) * 800);
      },
    ),
    { numRuns: 500 },
  );
});

const verdicts: readonly (readonly [AttemptResult, Verdict])[] = [
  [answered(200), "healthy"],
  [answered(301), "healthy"],
  [answered(404), "healthy"],
  [answered(410), "healthy"],
  [answered(429), "overloaded"],
  [answered(500), "refusing"],
  [answered(501), "refusing"],
  [answered(502), "overloaded"],
  [answered(503), "overloaded"],
  [answered(504), "overloaded"],
  [answered(505), "refusing"],
  [fault("timeout"), "overloaded"],
  [fault("connect-refused"), "refusing"],
  [fault("reset"), "refusing"],
  [fault("dns"), "refusing"],
  [fault("tls"), "refusing"],
];

for (const [result, verdict] of verdicts) {
  test(`an endpoint that ${describe(result)} is ${verdict}`, () => assert.equal(verdictOf(result), verdict));
}

test("the phrase for a redirect says that redirects are not followed", () => {
  assert.equal(describe(answered(302)), "answered 302; redirects are not followed");
});
