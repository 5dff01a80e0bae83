/** Answers about endpoints. */
import * as v from "valibot";
import { ENDPOINT_STATUSES } from "@posthaste/shared/domain/endpoint.ts";
import { HEADER_MASK } from "@posthaste/shared/domain/endpoint-headers.ts";
import { EitherForm } from "@posthaste/shared/domain/retry-policy.ts";
import { BREAKER_STATES } from "@posthaste/shared/ports/stats.ts";
import { Count, idOf, listOf, Time } from "./parts.ts";

export const EndpointView = v.object({
  id: idOf("ep"),
  tenant: v.string(),
  url: v.string(),
  event_types: v.pipe(v.array(v.string()), v.readonly()),
  description: v.string(),
  headers: v.pipe(v.record(v.string(), v.literal(HEADER_MASK)), v.description("Values are written and never shown.")),
  retry: EitherForm,
  rate_limit: v.nullable(v.object({ limit: Count, window_ms: Count })),
  batch: v.nullable(v.object({ max_events: Count, max_wait_ms: Count })),
  status: v.picklist(ENDPOINT_STATUSES),
  status_reason: v.nullable(v.string()),
  status_since: v.nullable(Time),
  failing_since: v.pipe(v.nullable(Time), v.description("From then on no attempt succeeded; null while it is well.")),
  created_at: Time,
  updated_at: Time,
});
export type EndpointView = v.InferOutput<typeof EndpointView>;
export const EndpointList = listOf(EndpointView);

const secret = v.pipe(v.string(), v.description("Signs each message. Shown here and never again."));
export const CreatedEndpoint = v.object({ ...EndpointView.entries, secret });
export const RotatedSecret = v.object({
  secret,
  previous_expires_at: v.pipe(v.nullable(Time), v.description("Until then the old secret signs beside the new.")),
});

export const StatsView = v.object({
  attempts: Count,
  delivered: Count,
  retried: Count,
  dead: Count,
  duration_ms_mean: v.nullable(Count),
  last_attempt_at: v.nullable(Time),
  last_seen: v.pipe(
    v.nullable(v.object({ in_flight: Count, in_flight_max: Count, breaker: v.picklist(BREAKER_STATES) })),
    v.description(
      "Right after the last attempt, as the processor that made it had it: attempts under way there, how many it makes at once, and whether its breaker holds deliveries back.",
    ),
  ),
});
export type StatsView = v.InferOutput<typeof StatsView>;
