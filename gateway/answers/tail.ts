/** What a stream of `GET /v1/tail` has as `data`, by the name of the event. */
import * as v from "valibot";
import { FAULTS } from "@posthaste/shared/domain/attempt.ts";
import { DELIVERY_STATES } from "@posthaste/shared/domain/delivery.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { ATTEMPT_OUTCOMES } from "@posthaste/shared/domain/outcome.ts";
import { Count, EventId, idOf, SomeEndpointId, Time, Type } from "./parts.ts";

const TailedEvent = v.object({
  id: EventId,
  tenant: v.string(),
  type: Type,
  lane: v.picklist(LANES),
  accepted_at: Time,
  deliver_at: v.nullable(Time),
  body_bytes: Count,
});
export type TailedEvent = v.InferOutput<typeof TailedEvent>;

const delivery = {
  event_id: EventId,
  tenant: v.string(),
  type: Type,
  lane: v.picklist(LANES),
  endpoint_id: SomeEndpointId,
  replayed_at: v.nullable(Time),
  at: Time,
  attempt: v.pipe(Count, v.description("Attempts that were made so far.")),
  state: v.picklist(DELIVERY_STATES),
  reason: v.nullable(v.string()),
  next_attempt_at: v.nullable(Time),
  group_id: v.optional(idOf("grp")),
};
const result = {
  outcome: v.picklist(ATTEMPT_OUTCOMES),
  status: v.nullable(v.pipe(v.number(), v.integer())),
  fault: v.nullable(v.picklist(FAULTS)),
  duration_ms: Count,
};
const TailedDelivery = v.object(delivery);
export type TailedDelivery = v.InferOutput<typeof TailedDelivery>;

export const TAIL_EVENTS = {
  accepted: TailedEvent,
  attempt: v.object({ ...delivery, ...result }),
  delivery: TailedDelivery,
  lost: v.object({ count: v.pipe(v.nullable(Count), v.description("Null when nobody knows.")) }),
  end: v.object({
    code: v.picklist(["slow-reader", "stopping", "key-revoked", "key-expired", "unauthenticated"]),
    detail: v.string(),
    unsent: Count,
  }),
} as const satisfies Record<string, v.GenericSchema>;
