/**
 * When a delivery that was put off comes back for the last time. To be put off uses no attempt, so that at an endpoint that
 * is down for good the last attempt of most would never come: the few probes are shared by all that wait. One that is older than
 * its whole schedule is given up when it comes and the endpoint has failed of late and all the time. It is no probe either,
 * or its next wait would keep it for another day.
 *
 * Nothing is stored for it: the age is told from when the event was due, or replayed, or from the endpoint's last change (a
 * resume, a new URL) where that is later.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import { DEFAULT_RETRY_POLICY, attemptOfPolicy, scheduleMsMax } from "@posthaste/shared/domain/retry-policy.ts";

/**
 * So far apart are the first and the last failure, as this process saw them: a dozen probes. The last is no older than
 * that: who asked for silence, and was not asked since, may be well.
 */
const FAILING_MS_MIN = 3600 * 1000;
/**
 * A first attempt has to be put off so often, which takes over an hour behind an open breaker: a replay of many is planned at
 * a rate, and may come later than its schedule is long.
 */
const FIRST_DEFERRALS_MIN = 9;

/** Since the endpoint's last 2xx. */
export interface Failures {
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

export function isFailing({ firstAtMs, lastAtMs }: Failures, nowMs: number): boolean {
  return lastAtMs - firstAtMs >= FAILING_MS_MIN && nowMs - lastAtMs <= FAILING_MS_MIN;
}

/** Null for a delivery whose schedule is not over; `nowMs` is wall time. */
export function overdueReason(
  delivery: PendingDelivery,
  endpoint: Pick<Endpoint, "retry" | "updatedAtMs">,
  nowMs: number,
): string | null {
  const { attempt, deferrals } = delivery;
  if (attempt === 1 && deferrals < FIRST_DEFERRALS_MIN) return null;
  const policy = endpoint.retry ?? DEFAULT_RETRY_POLICY;
  if (nowMs - sinceMs(delivery, endpoint) <= scheduleMsMax(policy)) return null;
  const left = `${attemptOfPolicy(policy, attempt)} was not made`;
  return `the endpoint kept failing for longer than the whole retry schedule; ${left}`;
}

/** From when the schedule counts; for a group, that of its youngest member. */
function sinceMs({ generation, members }: PendingDelivery, { updatedAtMs }: Pick<Endpoint, "updatedAtMs">): number {
  const due = members.map(({ deliverAtMs, acceptedAtMs }) => deliverAtMs ?? acceptedAtMs);
  return Math.max(generation, updatedAtMs, ...due);
}
