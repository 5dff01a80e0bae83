/**
 * What we make of an attempt: a pure decision. 2xx is success, everything else failure, 3xx too; 410 ends the
 * endpoint; Retry-After is obeyed on any answer (Standard Webhooks 1.0.0; CloudEvents HTTP webhook section 2.2).
 */
import type { AttemptResult } from "./attempt.ts";
import type { DeliveryState } from "./delivery.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { unreachable } from "../lib/assert.ts";
import { attemptOfPolicy, parseRetryAfterMs, waitBeforeMs } from "./retry-policy.ts";

export type Outcome =
  | { readonly kind: "delivered" }
  | { readonly kind: "retry"; readonly attempt: number; readonly notBeforeMs: number; readonly reason: string }
  | { readonly kind: "dead"; readonly reason: string }
  /** 410 Gone: the endpoint is to be disabled and this delivery is dead. */
  | { readonly kind: "endpoint-gone"; readonly reason: string }
  /** We stopped before an answer came; the same attempt is made again later. */
  | { readonly kind: "unfinished" };

/** What became of one attempt: the 2xx that delivered, one that was followed by another, or the last in vain. */
export const ATTEMPT_OUTCOMES = ["delivered", "retry", "dead"] as const;
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

/** How the endpoint behaves, for its breaker and in-flight cap. */
export type Verdict = "healthy" | "refusing" | "overloaded";

export function decide(input: {
  result: AttemptResult;
  /** The number of the attempt that just ended, from 1. */
  attempt: number;
  policy: RetryPolicy;
  nowMs: number;
  fraction: number;
}): Outcome {
  const { result, attempt, policy, nowMs } = input;
  if (result.kind === "fault" && result.fault === "aborted") return { kind: "unfinished" };
  if (result.kind === "answered" && isSuccess(result.status)) return { kind: "delivered" };
  const reason = describe(result);
  if (result.kind === "answered" && result.status === 410) return { kind: "endpoint-gone", reason };
  const waitMs = waitBeforeMs(policy, attempt + 1, input.fraction);
  if (waitMs === null) return { kind: "dead", reason: `${reason}; ${attemptOfPolicy(policy, attempt)} was the last` };
  const askedMs = result.kind === "answered" ? parseRetryAfterMs(result.retryAfter, nowMs) : null;
  const notBeforeMs = nowMs + Math.max(waitMs, askedMs ?? 0);
  return { kind: "retry", attempt: attempt + 1, notBeforeMs, reason };
}

/**
 * What was never sent, for a look-up without an answer or since this machine had no socket left, counts as no attempt so
 * often; the next one is counted, so that a delivery to a zone that never answers ends too. With the waits of the processor this is about nine hours for each attempt.
 */
export const UNMADE_MAX = 24;

/** Was no attempt made, so that the same one is to be made later? `unmade` is how often that was so already. */
export function isUnmade(result: AttemptResult, unmade: number): boolean {
  return isUnsent(result) && unmade < UNMADE_MAX;
}

/** Nothing was sent, for a reason of our own side: it says nothing of the endpoint. */
export function isUnsent(result: AttemptResult): boolean {
  return result.kind === "fault" && (result.fault === "resolver" || result.fault === "exhausted");
}

/** The outcome of a recorded attempt, by how its delivery stands. */
export function outcomeOf(
  { attempt, result }: { readonly attempt: number; readonly result: AttemptResult },
  delivery: { readonly state: DeliveryState; readonly attempts: number },
): AttemptOutcome {
  if (result.kind === "answered" && isSuccess(result.status)) return "delivered";
  const isOver = delivery.state === "dead" || delivery.state === "expired";
  return isOver && attempt >= delivery.attempts ? "dead" : "retry";
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** Faults and 5xx speak against the endpoint, 429/502/503/504 and timeouts for overload; other answers are an answer. */
export function verdictOf(result: AttemptResult): Verdict {
  switch (result.kind) {
    case "answered":
      if (result.status === 429 || (result.status >= 502 && result.status <= 504)) return "overloaded";
      return result.status >= 500 ? "refusing" : "healthy";
    case "fault":
      return result.fault === "timeout" ? "overloaded" : "refusing";
    default:
      return unreachable(result);
  }
}

/** One readable phrase for logs, the ledger and the API. */
export function describe(result: AttemptResult): string {
  switch (result.kind) {
    case "answered":
      if (result.status >= 300 && result.status <= 399) return `answered ${result.status}; redirects are not followed`;
      return `answered ${result.status}`;
    case "fault":
      return `${result.fault}: ${result.detail}`;
    default:
      return unreachable(result);
  }
}
