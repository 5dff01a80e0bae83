/** The catalogue of event types. */
import { PublishedType } from "@posthaste/shared/domain/event.ts";
import { EventTypeList, EventTypeView } from "../../answers/event-types.ts";
import * as examples from "../examples.ts";
import type { Operations } from "../operation.ts";

const tag = "Event types";

const WRITTEN = {
  description: "An invoice was paid in full.",
  schema: { type: "object", required: ["id"], properties: { id: { type: "string" }, total: { type: "integer" } } },
  example: { id: "inv_1", total: 1200 },
  deprecated: false,
};
const TYPE = { name: "invoice.paid", ...WRITTEN, created_at: examples.AT, updated_at: examples.AT };

export const eventTypeOperations: Operations = {
  "GET /v1/event-types": {
    id: "listEventTypes",
    tag,
    summary: "List event types",
    description: "By name. The same for every key.",
    answers: {
      200: { description: "A page.", schema: EventTypeList, example: { data: [TYPE], next_cursor: null } },
    },
  },
  "GET /v1/event-types/:name": {
    id: "getEventType",
    tag,
    summary: "Show an event type",
    named: PublishedType,
    answers: { 200: { description: "The type.", schema: EventTypeView, example: TYPE } },
    problems: ["not-found"],
  },
  "PUT /v1/event-types/:name": {
    id: "putEventType",
    tag,
    summary: "Create or replace an event type",
    description:
      "With an operator key. From now on an event of this type whose data does not fit the schema is refused with `validation-failed`: here at once, elsewhere within 5 seconds. Events that were accepted before are not looked at again.",
    named: PublishedType,
    example: WRITTEN,
    answers: {
      200: { description: "Replaced.", schema: EventTypeView, example: TYPE },
      201: { description: "Created.", schema: EventTypeView, example: TYPE },
    },
    problems: ["limit-reached"],
  },
  "DELETE /v1/event-types/:name": {
    id: "deleteEventType",
    tag,
    summary: "Delete an event type",
    description:
      "With an operator key. Events of it are taken on, unless the operator has them refused (`EVENT_TYPES=listed`).",
    named: PublishedType,
    answers: { 204: { description: "Deleted.", schema: null } },
    problems: ["not-found"],
  },
};
