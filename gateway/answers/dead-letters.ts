/** Answers about dead letters and replays. */
import * as v from "valibot";
import { MISSED_STATES } from "@posthaste/shared/domain/delivery.ts";
import { EventFacts } from "./events.ts";
import { Count, EventId, idOf, listOf, SomeEndpointId, Time, Type } from "./parts.ts";

const letter = {
  id: idOf("dlv"),
  tenant: v.string(),
  event_id: EventId,
  event_type: Type,
  endpoint_id: SomeEndpointId,
  state: v.picklist(MISSED_STATES),
  reason: v.string(),
  attempt_count: Count,
  at: Time,
  event: EventFacts,
};
export const DeadLetterView = v.object(letter);
export type DeadLetterView = v.InferOutput<typeof DeadLetterView>;
export const DeadLetterList = listOf(DeadLetterView);
export const WholeDeadLetter = v.object({
  ...letter,
  data: v.pipe(v.unknown(), v.metadata({ description: "As it was published." })),
});

export const PlannedReplay = v.object({ delivery_id: idOf("dlv"), event_id: EventId, endpoint_id: SomeEndpointId });

const counts = {
  matched: Count,
  replayed: Count,
  skipped: v.pipe(
    Count,
    v.description(
      "The endpoint is gone, the event's body is no longer kept, or what was held was just coming back by itself.",
    ),
  ),
  dry_run: v.boolean(),
  next_cursor: v.optional(v.pipe(v.string(), v.description("When more remains: `cursor` of the next call."))),
};
export const ReplayedLetters = v.object({ ...counts, has_more: v.boolean() });
export const ReplayedEndpoint = v.object({
  ...counts,
  next_until: v.pipe(v.nullable(Time), v.description("`until` of a next call, where a time alone can tell.")),
});
