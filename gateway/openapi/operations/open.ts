/** What needs no key, and what has no end. */
import * as v from "valibot";
import { Alive, Ready } from "../../answers/health.ts";
import { TAIL_EVENTS } from "../../answers/tail.ts";
import type { Operation, Operations } from "../operation.ts";

const Text = v.string();
const alive = {
  tag: "Health",
  answers: { 200: { description: "The process lives.", schema: Alive, example: { status: "ok" } } },
} as const satisfies Partial<Operation>;
const unchanged = {
  description: "As it was; the caller has it.",
  schema: null,
  headers: ["etag", "cache-control"],
} as const;

export const openOperations: Operations = {
  "GET /v1/tail": {
    id: "watch",
    tag: "Events",
    summary: "Watch what happens, live",
    description:
      "Server-sent events. `accepted`: an event was taken. `attempt`: one was made, with its `outcome`. `delivery`: one was deferred, held or given up. `lost`: `count` entries before this one were not shown. `end`: the last, with its `code`. It is for looking, not for integration: nothing is kept for later.",
    answers: {
      200: {
        description: "A stream that goes on until it is left.",
        schema: Text,
        mediaTypes: ["text/event-stream"],
        events: TAIL_EVENTS,
        example: 'event: lost\ndata: {"count":3}\n\n',
      },
    },
    problems: ["stopping", "not-at-edge"],
  },
  "GET /livez": { ...alive, id: "live", summary: "Does the process live?" },
  "GET /healthz": { ...alive, id: "healthy", summary: "Does the process live? (another name)" },
  "GET /readyz": {
    id: "ready",
    tag: "Health",
    summary: "Can something be accepted?",
    answers: { 200: { description: "Yes.", schema: Ready, example: { status: "ready" } } },
    problems: ["store-unavailable", "stopping"],
  },
  "GET /metrics": {
    id: "metrics",
    tag: "Health",
    summary: "Metrics, as Prometheus text",
    answers: {
      200: {
        description: "One of the text formats, by `Accept`.",
        schema: Text,
        mediaTypes: ["text/plain", "application/openmetrics-text"],
        headers: ["vary"],
      },
    },
    problems: ["not-at-edge"],
  },
  "GET /openapi.json": {
    id: "openapi",
    tag: "Health",
    summary: "This description",
    answers: {
      200: {
        description: "OpenAPI 3.1.",
        schema: v.record(Text, v.unknown()),
        headers: ["etag", "cache-control"],
      },
      304: unchanged,
    },
  },
  "GET /docs": {
    id: "docs",
    tag: "Health",
    summary: "This description, to be read",
    answers: {
      200: {
        description: "A page without scripts.",
        schema: Text,
        mediaTypes: ["text/html"],
        headers: ["etag", "cache-control", "content-security-policy"],
      },
      304: { ...unchanged, headers: [...unchanged.headers, "content-security-policy"] },
    },
  },
};
