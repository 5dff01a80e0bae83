/** Answers about events: taken, listed, shown, explained. */
import * as v from "valibot";
import { FAULTS } from "@posthaste/shared/domain/attempt.ts";
import { DELIVERY_STATES, WAIT_CODES } from "@posthaste/shared/domain/delivery.ts";
import { LANES, Priority } from "@posthaste/shared/domain/event.ts";
import { EVENT_STATES } from "@posthaste/shared/domain/event-state.ts";
import { ATTEMPT_OUTCOMES } from "@posthaste/shared/domain/outcome.ts";
import { Count, EventId, idOf, listOf, SomeEndpointId, Time, Type } from "./parts.ts";
import { Problem } from "./problem.ts";

const Lane = v.picklist(LANES);
const accepted = {
  id: EventId,
  lane: Lane,
  status_url: v.pipe(v.string(), v.description("Where to see what became of it, for the same key.")),
};
export const AcceptedEvent = v.object(accepted);

const AcceptedItem = v.object({
  status: v.literal(202),
  ...accepted,
  idempotent_replayed: v.optional(v.literal(true)),
});
const RefusedItem = v.object({ status: v.pipe(v.number(), v.integer(), v.minValue(400)), problem: Problem });
export const BatchResult = v.object({
  data: v.pipe(v.array(v.union([AcceptedItem, RefusedItem])), v.description("One result for each event, in order.")),
});

export const EventFacts = v.object({
  id: EventId,
  tenant: v.string(),
  type: Type,
  priority: Priority,
  lane: Lane,
  timestamp: Time,
  accepted_at: Time,
  deliver_at: v.nullable(Time),
  trace_id: v.nullable(v.string()),
  body_bytes: Count,
});
export type EventFacts = v.InferOutput<typeof EventFacts>;

const state = v.picklist(EVENT_STATES);
export const EventRow = v.object({ ...EventFacts.entries, state });
export const EventList = listOf(EventRow);

const WAITS_FOR = [...WAIT_CODES, "lane", "deliver-at", "paused", "disabled", "backlog"] as const;
/** `lane`: for a processor; it may be under way there. The held states wait for their endpoint. */
export type WaitsFor = (typeof WAITS_FOR)[number];
export const WaitingView = v.object({
  for: v.picklist(WAITS_FOR),
  since: Time,
  until: v.pipe(v.nullable(Time), v.description("As planned; past while it is under way.")),
});
export type WaitingView = v.InferOutput<typeof WaitingView>;
const waiting = v.pipe(v.nullable(WaitingView), v.description("Null when nothing more comes by itself."));

const attempt = {
  attempt: v.pipe(v.number(), v.integer(), v.minValue(1)),
  at: Time,
  outcome: v.picklist(ATTEMPT_OUTCOMES),
  duration_ms: Count,
  status: v.nullable(v.pipe(v.number(), v.integer())),
  fault: v.pipe(v.nullable(v.picklist(FAULTS)), v.description("Why there was no answer; null when there was one.")),
  detail: v.nullable(v.string()),
  response: v.nullable(v.object({ excerpt: v.string(), is_cut: v.boolean() })),
  group_id: v.optional(v.pipe(idOf("grp"), v.description("Of the one POST for several events that it was part of."))),
};
export const AttemptView = v.object(attempt);
export type AttemptView = v.InferOutput<typeof AttemptView>;

export const EndpointAttempt = v.object({
  delivery_id: idOf("dlv"),
  event_id: EventId,
  event_type: Type,
  replayed_at: v.nullable(Time),
  ...attempt,
});
export const AttemptList = listOf(EndpointAttempt);

const TimesView = v.object({
  lane_ms: Count,
  limiter_ms: Count,
  deferred_ms: Count,
  retry_ms: Count,
  attempts_ms: Count,
});
export type TimesView = v.InferOutput<typeof TimesView>;

const DeliveryView = v.object({
  id: idOf("dlv"),
  endpoint_id: SomeEndpointId,
  url: v.pipe(v.nullable(v.string()), v.description("Null once the endpoint is gone.")),
  state: v.picklist(DELIVERY_STATES),
  reason: v.nullable(v.string()),
  replayed_at: v.nullable(Time),
  attempt_count: Count,
  next_attempt_at: v.nullable(Time),
  waiting,
  times: v.nullable(TimesView),
  attempts: v.array(AttemptView),
});

export const EventStatus = v.object({
  ...EventFacts.entries,
  state,
  reason: v.nullable(v.string()),
  waiting,
  filtered_count: v.pipe(
    Count,
    v.description("Endpoints that do not subscribe to its type. Of these the first 20 are shown on request."),
  ),
  deliveries: v.array(DeliveryView),
  data: v.optional(v.pipe(v.unknown(), v.metadata({ description: "With `include=data`, as it was published." }))),
});
export type EventStatus = v.InferOutput<typeof EventStatus>;

const DECISIONS_ON = ["event", "match", "endpoint", "limit", "breaker", "retry", "outcome"] as const;
/** What is decided, in this order. */
export type DecisionOn = (typeof DECISIONS_ON)[number];
export const Why = v.object({
  event_id: EventId,
  endpoint_id: idOf("ep"),
  waiting,
  decisions: v.array(v.object({ on: v.picklist(DECISIONS_ON), code: v.string(), detail: v.string() })),
});

export const Resent = v.object({
  event_id: EventId,
  replayed_at: Time,
  deliveries: v.array(v.object({ delivery_id: idOf("dlv"), endpoint_id: idOf("ep") })),
  skipped: v.array(v.object({ endpoint_id: idOf("ep"), reason: v.string() })),
});

export const Cancelled = v.object({ id: EventId, state: v.literal("cancelled"), deliver_at: Time });
