/** Endpoints. */
import { AcceptedEvent, AttemptList } from "../../answers/events.ts";
import { ReplayedEndpoint } from "../../answers/dead-letters.ts";
import { CreatedEndpoint, EndpointList, EndpointView, RotatedSecret, StatsView } from "../../answers/endpoints.ts";
import { idOf } from "../../answers/parts.ts";
import * as examples from "../examples.ts";
import type { Operation, Operations } from "../operation.ts";

const tag = "Endpoints";
const one = { tag, named: idOf("ep"), problems: ["not-found"] } as const satisfies Partial<Operation>;

const ENDPOINT = {
  id: examples.ENDPOINT_ID,
  tenant: "default",
  url: "https://example.com/hooks",
  event_types: ["invoice.*"],
  description: "",
  headers: {},
  retry: { delays_s: [0, 5, 300] },
  rate_limit: null,
  batch: null,
  status: "active",
  status_reason: null,
  status_since: null,
  failing_since: null,
  created_at: examples.AT,
  updated_at: examples.AT,
};
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

export const endpointOperations: Operations = {
  "POST /v1/endpoints": {
    id: "createEndpoint",
    tag,
    summary: "Create an endpoint",
    description:
      "An event that is published after this 201 reaches it. A URL that leads to a private address is refused, now and at each attempt; a name that does not resolve yet is taken.",
    example: { url: "https://example.com/hooks", event_types: ["invoice.*"] },
    answers: {
      201: {
        description: "Created. `secret` is shown here and at rotation only.",
        schema: CreatedEndpoint,
        headers: ["location"],
        example: { ...ENDPOINT, secret: SECRET },
      },
    },
    problems: ["forbidden-address", "limit-reached"],
  },
  "GET /v1/endpoints": {
    id: "listEndpoints",
    tag,
    summary: "List endpoints",
    description: "Oldest first, without secrets.",
    answers: {
      200: { description: "A page.", schema: EndpointList, example: { data: [ENDPOINT], next_cursor: null } },
    },
  },
  "GET /v1/endpoints/:id": {
    ...one,
    id: "showEndpoint",
    summary: "Show an endpoint",
    answers: { 200: { description: "The endpoint.", schema: EndpointView, example: ENDPOINT } },
  },
  "PATCH /v1/endpoints/:id": {
    ...one,
    id: "changeEndpoint",
    summary: "Change an endpoint",
    description:
      "Only what is named changes. A `url` of another origin needs each header again, or removed: whoever may change a URL could read them otherwise.",
    example: { paused: true },
    answers: { 200: { description: "As it is now.", schema: EndpointView, example: ENDPOINT } },
    problems: ["not-found", "forbidden-address"],
  },
  "DELETE /v1/endpoints/:id": {
    ...one,
    id: "removeEndpoint",
    summary: "Remove an endpoint",
    description: "What is held for it ends as `dead` at once, and what waits for a time when that comes.",
    answers: { 204: { description: "Removed.", schema: null } },
  },
  "POST /v1/endpoints/:id/rotate-secret": {
    ...one,
    id: "rotateSecret",
    summary: "Rotate the secret",
    description:
      "The old secret signs beside the new for 24 hours. Three sign at most: one more is 409 until one ends.",
    example: {},
    answers: {
      200: {
        description: "The new secret.",
        schema: RotatedSecret,
        example: { secret: SECRET, previous_expires_at: examples.LATER },
      },
    },
    problems: ["not-found", "conflict"],
  },
  "POST /v1/endpoints/:id/test": {
    ...one,
    id: "testEndpoint",
    summary: "Send a test event",
    description: "One event, HIGH, to this endpoint alone.",
    example: { type: "invoice.paid" },
    answers: {
      202: { description: "Planned, and durable.", schema: AcceptedEvent, example: examples.ACCEPTED },
    },
    problems: ["not-found", "conflict", "not-at-edge"],
  },
  "POST /v1/endpoints/:id/replay": {
    ...one,
    id: "replayEndpoint",
    summary: "Replay its deliveries of a time",
    description:
      "By the time at which the events were accepted. One call replays about 10,000 at most; with `next_cursor` in the answer call again with the same body and that `cursor`.",
    example: { since: "2026-01-31T00:00:00Z", until: "2026-01-31T06:00:00Z", status: "dead", dry_run: true },
    answers: {
      200: {
        description: "How many.",
        schema: ReplayedEndpoint,
        example: { matched: 12, replayed: 0, skipped: 0, dry_run: true, next_until: null },
      },
    },
    problems: ["not-found", "invalid-cursor", "request-in-flight", "not-at-edge"],
  },
  "GET /v1/endpoints/:id/attempts": {
    ...one,
    id: "listAttempts",
    summary: "List its attempts",
    description: "Newest first. `outcome=failed` means `retry` and `dead`.",
    answers: {
      200: {
        description: "A page.",
        schema: AttemptList,
        example: {
          data: [
            {
              delivery_id: examples.DELIVERY_ID,
              event_id: examples.EVENT_ID,
              event_type: "invoice.paid",
              replayed_at: null,
              attempt: 1,
              at: examples.AT,
              outcome: "retry",
              duration_ms: 212,
              status: 503,
              fault: null,
              detail: "answered 503",
              response: { excerpt: "busy", is_cut: false },
            },
          ],
          next_cursor: null,
        },
      },
    },
  },
  "GET /v1/endpoints/:id/stats": {
    ...one,
    id: "showStats",
    summary: "Counts of its last 24 to 25 hours",
    answers: {
      200: {
        description: "The counts.",
        schema: StatsView,
        example: {
          attempts: 120,
          delivered: 118,
          retried: 2,
          dead: 0,
          duration_ms_mean: 41,
          last_attempt_at: examples.AT,
          last_seen: { in_flight: 2, in_flight_max: 8, breaker: "closed" },
        },
      },
    },
  },
};
