/** The parts of the description that are written once and referred to: schemas, header fields, the two ways to send a key. */
import { NewApiKey, Scope } from "@posthaste/shared/domain/api-key.ts";
import { StructuredCloudEvent } from "@posthaste/shared/domain/cloud-event.ts";
import { EndpointPatch, NewEndpoint } from "@posthaste/shared/domain/endpoint.ts";
import { NewCatalogueType } from "@posthaste/shared/domain/event-types.ts";
import { NewBatch, NewEvent } from "@posthaste/shared/domain/event.ts";
import { NewPortalLink } from "@posthaste/shared/domain/portal-link.ts";
import { EitherForm } from "@posthaste/shared/domain/retry-policy.ts";
import * as apiKeys from "../answers/api-keys.ts";
import * as deadLetters from "../answers/dead-letters.ts";
import * as endpoints from "../answers/endpoints.ts";
import * as eventTypes from "../answers/event-types.ts";
import * as events from "../answers/events.ts";
import { PortalLink } from "../answers/portal-links.ts";
import { Problem } from "../answers/problem.ts";
import * as quarantine from "../answers/quarantine.ts";
import type { JsonObject, JsonSchema, NamedSchemas } from "./json-schema.ts";

/** Sent and answered with; the name of a schema is that of its constant. */
export const NAMED: NamedSchemas = {
  NewEvent,
  NewBatch,
  CloudEvent: StructuredCloudEvent,
  NewEndpoint,
  EndpointPatch,
  NewEventType: NewCatalogueType,
  NewApiKey,
  NewPortalLink,
  RetryPolicy: EitherForm,
  Scope,
  Problem,
  AcceptedEvent: events.AcceptedEvent,
  BatchResult: events.BatchResult,
  EventFacts: events.EventFacts,
  EventRow: events.EventRow,
  EventStatus: events.EventStatus,
  Attempt: events.AttemptView,
  EndpointAttempt: events.EndpointAttempt,
  Waiting: events.WaitingView,
  Why: events.Why,
  Resent: events.Resent,
  Cancelled: events.Cancelled,
  Endpoint: endpoints.EndpointView,
  CreatedEndpoint: endpoints.CreatedEndpoint,
  RotatedSecret: endpoints.RotatedSecret,
  EndpointStats: endpoints.StatsView,
  DeadLetter: deadLetters.DeadLetterView,
  WholeDeadLetter: deadLetters.WholeDeadLetter,
  PlannedReplay: deadLetters.PlannedReplay,
  ReplayedLetters: deadLetters.ReplayedLetters,
  ReplayedEndpoint: deadLetters.ReplayedEndpoint,
  ApiKey: apiKeys.ApiKeyView,
  CreatedApiKey: apiKeys.CreatedApiKey,
  PortalLink,
  QuarantinedRecord: quarantine.RecordView,
  WholeRecord: quarantine.WholeRecord,
  EventType: eventTypes.EventTypeView,
  EventTypeList: eventTypes.EventTypeList,
  EventList: events.EventList,
  AttemptList: events.AttemptList,
  EndpointList: endpoints.EndpointList,
  DeadLetterList: deadLetters.DeadLetterList,
  ApiKeyList: apiKeys.ApiKeyList,
  QuarantineList: quarantine.RecordList,
};

const text = (description: string, example: string): JsonObject => ({
  description,
  schema: { type: "string" },
  example,
});
const seconds: JsonSchema = { type: "integer", minimum: 1 };

/** Of answers, by the name that is sent. */
export const HEADERS = {
  "ratelimit-policy": text(
    "The key's limit: `q` units in `w` seconds. On answers to a limited key.",
    '"default";q=1000;w=1',
  ),
  ratelimit: text("What is left of it: `r` units, for `t` seconds. On what was charged.", '"default";r=999;t=1'),
  "retry-after": { description: "Seconds to wait before the same call.", schema: seconds, example: 1 },
  "www-authenticate": text("The scheme.", "Bearer"),
  "accept-encoding": text("After a content coding: `identity`, for compressed bodies are not taken.", "identity"),
  location: text("Where the new thing is.", "/v1/endpoints/ep_01m8545zc1tq4m3xk7v9d2e5ra"),
  "idempotent-replayed": text("`true`: an earlier request with this key or id was answered so.", "true"),
  vary: text("What the answer goes by.", "accept"),
  etag: text("Of this very text.", '"4f3c"'),
  "cache-control": text("How long it may be kept.", "no-cache"),
  "content-security-policy": text("Nothing but the page's own style.", "default-src 'none'"),
} as const satisfies Record<string, JsonObject>;

export type HeaderName = keyof typeof HEADERS;

export function headerRefs(names: readonly HeaderName[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

export const SECURITY_SCHEMES: JsonObject = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description:
      "An API key, `phk_...`. Its scopes: `publish` (events), `read` (every GET but API keys), `manage` (everything else).",
  },
  apiKey: { type: "apiKey", in: "header", name: "x-api-key", description: "The same key in a field of its own." },
};
