/** What the schemas of answers share. They are open objects, as a later release may add a member. */
import * as v from "valibot";
import { EVENT_TYPE_LENGTH_MAX } from "@posthaste/shared/domain/event.ts";
import type { IdPrefix } from "@posthaste/shared/domain/id.ts";
import { EVENT_ID_LENGTH_MAX, idPattern } from "@posthaste/shared/domain/id.ts";

/** RFC 3339 in UTC with milliseconds, as `instantText` writes it. */
export const Time = v.pipe(v.string(), v.metadata({ format: "date-time", examples: ["2026-01-31T12:00:00.000Z"] }));

export const Count = v.pipe(v.number(), v.integer(), v.minValue(0));

export const idOf = (prefix: IdPrefix) => v.pipe(v.string(), v.metadata({ pattern: idPattern(prefix) }));

export const EventId = v.pipe(
  v.string(),
  v.metadata({
    pattern: `^[A-Za-z0-9_-]{1,${EVENT_ID_LENGTH_MAX}}$`,
    description: "`evt_...`, or the publisher's own.",
  }),
);

export const Type = v.pipe(v.string(), v.maxLength(EVENT_TYPE_LENGTH_MAX), v.examples(["invoice.paid"]));

/** Null for an event that was never fanned out, because its tenant's endpoints could not be read. */
export const SomeEndpointId = v.nullable(idOf("ep"));

export const listOf = <const Row extends v.GenericSchema>(row: Row) =>
  v.object({
    data: v.array(row),
    next_cursor: v.pipe(v.nullable(v.string()), v.description("`cursor` of the next page; null: this is the last.")),
  });
