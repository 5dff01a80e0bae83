/** Publishing, and what became of it. */
import { AcceptedEvent, BatchResult, Cancelled, EventList, EventStatus, Resent, Why } from "../../answers/events.ts";
import { EventId } from "../../answers/parts.ts";
import * as examples from "../examples.ts";
import type { Operations } from "../operation.ts";

const tag = "Events";

export const eventOperations: Operations = {
  "POST /v1/events": {
    id: "publishEvent",
    tag,
    summary: "Publish an event",
    description:
      "202 means that it is durable, and reaches each endpoint that subscribes to its type at least once. `data` is delivered as the very text that it was sent as. The same request again, under the same `id` or Idempotency-Key, is one event.\n\nA CloudEvent 1.0 is taken as well: structured, or binary with its attributes in fields that begin with `ce-`.",
    takesIdempotencyKey: true,
    example: examples.EVENT,
    answers: {
      202: {
        description: "Accepted, and durable.",
        schema: AcceptedEvent,
        headers: ["idempotent-replayed"],
        example: examples.ACCEPTED,
      },
    },
    problems: ["id-conflict", "request-in-flight", "limit-reached"],
  },
  "POST /v1/events/batch": {
    id: "publishBatch",
    tag,
    summary: "Publish up to 1,000 events",
    description:
      "Those that are valid are taken together, whatever the others are. What is wrong with the whole refuses the whole. An item may be 503 while others are taken: send the batch again, then.",
    takesIdempotencyKey: true,
    example: { events: [examples.EVENT, { type: "invoice.seen", data: null }] },
    answers: {
      200: {
        description: "A result for each event, in order.",
        schema: BatchResult,
        headers: ["idempotent-replayed"],
        example: { data: [{ status: 202, ...examples.ACCEPTED }] },
      },
    },
    problems: ["request-in-flight", "limit-reached"],
  },
  "GET /v1/events": {
    id: "listEvents",
    tag,
    summary: "List events",
    description:
      "Newest first. With `endpoint_id` those of which a delivery to that endpoint was recorded; `state` is the event's all the same.",
    answers: {
      200: {
        description: "A page.",
        schema: EventList,
        example: { data: [{ ...examples.EVENT_FACTS, state: "delivered" }], next_cursor: null },
      },
    },
  },
  "GET /v1/events/:id": {
    id: "showEvent",
    tag,
    summary: "Show an event and its deliveries",
    named: EventId,
    answers: {
      200: {
        description: "The event, each delivery of it, and each attempt (the newest 1,000).",
        schema: EventStatus,
        example: {
          ...examples.EVENT_FACTS,
          state: "delivered",
          reason: null,
          waiting: null,
          filtered_count: 0,
          deliveries: [],
        },
      },
    },
    problems: ["not-found"],
  },
  "GET /v1/events/:id/why": {
    id: "explainEvent",
    tag,
    summary: "Why has an endpoint this event, or not?",
    description: "What was decided between the two, in order: a code for programs and a sentence for people.",
    named: EventId,
    needs: ["endpoint"],
    answers: {
      200: {
        description: "The decisions.",
        schema: Why,
        example: {
          event_id: examples.EVENT_ID,
          endpoint_id: examples.ENDPOINT_ID,
          waiting: null,
          decisions: [
            { on: "match", code: "filtered", detail: "the endpoint did not subscribe when the event was fanned out" },
          ],
        },
      },
    },
    problems: ["not-found"],
  },
  "POST /v1/events/:id/resend": {
    id: "resendEvent",
    tag,
    summary: "Send an event again",
    description:
      "To all active endpoints that subscribe to its type now, or to one. Each is a delivery of its own, with attempts from 1.",
    named: EventId,
    takesIdempotencyKey: true,
    example: { endpoint_id: examples.ENDPOINT_ID },
    answers: {
      202: {
        description: "Planned, and durable.",
        schema: Resent,
        headers: ["idempotent-replayed"],
        example: {
          event_id: examples.EVENT_ID,
          replayed_at: examples.AT,
          deliveries: [{ delivery_id: examples.DELIVERY_ID, endpoint_id: examples.ENDPOINT_ID }],
          skipped: [],
        },
      },
    },
    problems: ["not-found", "conflict", "request-in-flight", "gone", "not-at-edge"],
  },
  "POST /v1/events/:id/cancel": {
    id: "cancelEvent",
    tag,
    summary: "Cancel an event before its time",
    description: "An event with `deliver_at` is cancelled or it is sent, and never both. Twice is the same as once.",
    named: EventId,
    example: {},
    answers: {
      200: {
        description: "Nobody gets it.",
        schema: Cancelled,
        example: { id: examples.EVENT_ID, state: "cancelled", deliver_at: examples.LATER },
      },
    },
    problems: ["not-found", "conflict"],
  },
};
