/**
 * Why an endpoint has an event, or has it not (yet): each decision on the way, as a code for programs and a sentence for
 * people. From what the ledger recorded and what the endpoint is now; pure.
 */
import type { WaitCode } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { attemptsMade, DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import type { AttemptView, DeliveryView, EventRecord, FanOut } from "@posthaste/shared/ports/ledger.ts";
import { TEST_EVENT_TYPE } from "@posthaste/shared/domain/own-event.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { DecisionOn } from "../answers/events.ts";
import { instantText } from "./view-parts.ts";
import { thenDelivered } from "./event-status.ts";
import { waitingInLane } from "./waiting.ts";

export interface Decision {
  readonly on: DecisionOn;
  readonly code: string;
  readonly detail: string;
}

export interface WhyInput {
  readonly record: EventRecord;
  readonly endpointId: string;
  /** As it is now; null when it is gone. */
  readonly endpoint: Endpoint | null;
  /** To the endpoint, the one that is told of; null when none was recorded. */
  readonly delivery: DeliveryView | null;
  /** That one and those before it. */
  readonly deliveries: readonly DeliveryView[];
  /** Of that delivery, oldest first. */
  readonly attempts: readonly AttemptView[];
  readonly nowMs: number;
}

export function decisionsOf(input: WhyInput): readonly Decision[] {
  const match = matchDecision(input);
  const known = [eventDecision(input), match, endpointDecision(input)];
  if (match.code === "filtered" || match.code === "would-be-filtered" || match.code === "cancelled") return known;
  return [...known, limitDecision(input), breakerDecision(input), retryDecision(input), outcomeDecision(input)];
}

function eventDecision({ record: { envelope }, nowMs }: WhyInput): Decision {
  const { deliverAtMs, acceptedAtMs, priority } = envelope;
  const accepted = `accepted at ${instantText(acceptedAtMs)} with priority ${priority}`;
  if (deliverAtMs === null) return { on: "event", code: "accepted", detail: accepted };
  const isDue = deliverAtMs <= nowMs;
  const when = `${accepted}, to be delivered at ${instantText(deliverAtMs)}`;
  return isDue
    ? { on: "event", code: "due", detail: `${when}, which has come` }
    : { on: "event", code: "not-due", detail: `${when}, which is still to come` };
}

function matchDecision(input: WhyInput): Decision {
  const { record, endpointId, endpoint, delivery } = input;
  const { fanOut, envelope } = record;
  const { type } = envelope;
  const decided = (code: string, detail: string): Decision => ({ on: "match", code, detail });
  if (fanOut?.isCancelled === true)
    return decided("cancelled", "cancelled before its time, so that no endpoint gets it");
  const planned = fanOut === null ? null : plannedAt(fanOut, endpointId, endpoint);
  if (delivery?.state === "filtered" || (delivery === null && planned === "filtered")) {
    const types = endpoint === null ? "" : `; its event_types now: ${endpoint.eventTypes.join(", ")}`;
    return decided("filtered", `the endpoint did not subscribe to ${type} when the event was fanned out${types}`);
  }
  if (delivery !== null || planned === "matched") {
    const rule = endpoint?.eventTypes.find((each) => matches({ ...endpoint, eventTypes: [each] }, type));
    const by = rule === undefined ? "; by its event_types now it would not" : ` (${rule})`;
    return decided("matched", endpoint === null ? meantWords(input) : `${meantWords(input)}${by}`);
  }
  if (endpoint === null) return decided("unknown", "nothing is recorded of this endpoint for the event");
  if (fanOut !== null) {
    return endpoint.createdAtMs > fanOut.atMs
      ? decided("created-later", `the endpoint was made after the event was fanned out at ${instantText(fanOut.atMs)}`)
      : decided("unknown", "the record of the fan-out names only some of the endpoints, and not this one");
  }
  return matches(endpoint, type)
    ? decided("would-match", `not fanned out yet; the endpoint subscribes to ${type}`)
    : decided("would-be-filtered", `the endpoint does not subscribe to ${type}: ${endpoint.eventTypes.join(", ")}`);
}

/** A test event goes to its endpoint whatever that subscribes to; of its own type it is known to be one. */
function meantWords({ record: { fanOut, envelope }, endpointId }: WhyInput): string {
  const { type } = envelope;
  if (type === TEST_EVENT_TYPE)
    return "a test event goes to the endpoint that it was asked for, whatever that subscribes to";
  return fanOut?.filtered.includes(endpointId) === true
    ? `the endpoint did not subscribe to ${type} when the event was fanned out, and got it by a later replay`
    : `the endpoint subscribed to ${type} when the event was fanned out`;
}

/** The record names so many ids of each kind and no more: whoever was there and is missing in a whole list is of the other kind. */
function plannedAt(fanOut: FanOut, endpointId: string, endpoint: Endpoint | null): "matched" | "filtered" | null {
  const { matched, matchedCount, filtered, filteredCount } = fanOut;
  if (matched.includes(endpointId)) return "matched";
  if (filtered.includes(endpointId)) return "filtered";
  if (endpoint === null || endpoint.createdAtMs > fanOut.atMs) return null;
  const isMatchedCut = matched.length < matchedCount;
  if (isMatchedCut === filtered.length < filteredCount) return null;
  return isMatchedCut ? "matched" : "filtered";
}

function endpointDecision({ endpoint }: WhyInput): Decision {
  const decided = (code: string, detail: string): Decision => ({ on: "endpoint", code, detail });
  if (endpoint === null) return decided("gone", "the tenant has no such endpoint any more");
  const { status, statusReason, statusSinceMs } = endpoint;
  if (status === "active") return decided("active", "the endpoint takes deliveries");
  const since = statusSinceMs === null ? "" : ` since ${instantText(statusSinceMs)}`;
  return decided(status, `the endpoint is ${status}${since}${statusReason === null ? "" : `: ${statusReason}`}`);
}

/** What waits now says more than what the endpoint's limits are. */
function limitDecision({ endpoint, delivery }: WhyInput): Decision {
  const decided = (code: string, detail: string): Decision => ({ on: "limit", code, detail });
  const limit = endpoint?.rateLimit ?? null;
  const rule =
    limit === null ? "the endpoint has no rate limit" : `at most ${limit.limit} attempts in ${limit.windowMs} ms`;
  if (isHeldBack(delivery, "throttled")) {
    return decided(
      "throttled",
      `deferred: the endpoint asked for fewer requests, or its rate limit is reached; ${rule}`,
    );
  }
  if (isHeldBack(delivery, "busy"))
    return decided("busy", `deferred: the endpoint answers slowly, and its slots are taken; ${rule}`);
  if (delivery?.state === "backlog")
    return decided("backlog", `held: too many deliveries wait for the endpoint; ${rule}`);
  return decided(limit === null ? "unlimited" : "within-limit", rule);
}

function breakerDecision({ delivery }: WhyInput): Decision {
  return isHeldBack(delivery, "breaker-open")
    ? {
        on: "breaker",
        code: "open",
        detail: "deferred: the endpoint failed several times in a row, and only probes go out",
      }
    : { on: "breaker", code: "not-open", detail: "no breaker holds this delivery back" };
}

function isHeldBack(delivery: DeliveryView | null, by: WaitCode): boolean {
  return delivery !== null && (delivery.state === "pending" || delivery.state === "retrying") && delivery.wait === by;
}

function retryDecision({ endpoint, delivery, attempts }: WhyInput): Decision {
  const decided = (code: string, detail: string): Decision => ({ on: "retry", code, detail });
  const policy = endpoint?.retry ?? DEFAULT_RETRY_POLICY;
  const made = delivery?.attempts ?? 0;
  const count = attemptsMade(policy, made);
  const last = attempts.at(-1);
  const said = last === undefined ? "" : `; the last ${resultWords(last)}`;
  if (delivery === null || made === 0) return decided("none-made", count);
  switch (delivery.state) {
    case "pending":
    case "retrying": {
      const at = instantText(delivery.nextAttemptAtMs);
      return decided("planned", `${count}${said}${at === null ? "" : `; the next is planned for ${at}`}`);
    }
    case "delivered":
      return decided("not-needed", `${count}${said}`);
    case "dead":
      return decided("ended", `${count}${said}; no further one is made by itself`);
    case "paused":
    case "disabled":
    case "backlog":
    case "expired":
    case "filtered":
      return decided("stopped", `${count}${said}`);
    default:
      return unreachable(delivery.state);
  }
}

function resultWords({ result }: AttemptView): string {
  return result.kind === "answered" ? `was answered ${result.status}` : `failed: ${result.detail}`;
}

function outcomeDecision({ record, delivery, deliveries, nowMs }: WhyInput): Decision {
  const decided = (code: string, detail: string): Decision => ({ on: "outcome", code, detail });
  if (delivery === null) {
    const waiting = waitingInLane(record.envelope, nowMs);
    return waiting.for === "lane"
      ? decided("in-lane", `waits for a processor since ${instantText(waiting.sinceMs)}, or is under way there`)
      : decided("not-due", `waits until ${instantText(waiting.untilMs)}`);
  }
  const { state, reason, updatedAtMs } = delivery;
  const then = thenDelivered(delivery, deliveries);
  const said = `${reason ?? state}, since ${instantText(updatedAtMs)}`;
  return decided(state, `${said}${then === null ? deadBefore(delivery, deliveries) : `; ${then}`}`);
}

/** Of a delivered one. */
function deadBefore(delivery: DeliveryView, deliveries: readonly DeliveryView[]): string {
  if (delivery.state !== "delivered") return "";
  const [last] = deliveries
    .filter(({ state, generation }) => state === "dead" && generation < delivery.generation)
    .toSorted((one, other) => other.generation - one.generation);
  return last === undefined
    ? ""
    : `; dead before, since ${instantText(last.updatedAtMs)}: ${last.reason ?? "no reason"}`;
}
