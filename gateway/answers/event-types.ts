/** Answers about the catalogue of event types. */
import * as v from "valibot";
import { listOf, Time, Type } from "./parts.ts";

export const EventTypeView = v.object({
  name: Type,
  description: v.nullable(v.string()),
  schema: v.pipe(
    v.unknown(),
    v.metadata({
      anyOf: [{ type: "object" }, { type: "null" }],
      description: "JSON Schema 2020-12 of the event's data; null: any will do.",
    }),
  ),
  example: v.optional(
    v.pipe(v.unknown(), v.metadata({ description: "Of the event's data; left out when there is none." })),
  ),
  deprecated: v.boolean(),
  created_at: Time,
  updated_at: Time,
});
export type EventTypeView = v.InferOutput<typeof EventTypeView>;
export const EventTypeList = listOf(EventTypeView);
