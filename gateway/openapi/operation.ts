/**
 * What the API's description says of one route beside what the route itself says (scope, query, body): words, answers, and the
 * problems that are its own. The tests hold each answer of the gateway to it.
 */
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import type { AnySchema, JsonValue } from "./json-schema.ts";

/** In the order in which they are shown. */
export const TAGS = {
  Events: "Publish events, and see what became of them.",
  "Event types": "The catalogue: which types of events there are, and what their data looks like. One for all tenants.",
  Endpoints: "Where a tenant's events go, and how.",
  "Dead letters": "Deliveries that need a person: nothing brings them there any more by itself.",
  "API keys": "Who may call this API, for which tenant, and how often.",
  Portal: "Pages for the people of one tenant, who hold no API key.",
  Quarantine: "Records that could not be read. For operator keys alone.",
  Health: "The process itself. Without a key.",
} as const satisfies Record<string, string>;

export type Tag = keyof typeof TAGS;

export type ResponseHeader =
  | "location"
  | "idempotent-replayed"
  | "etag"
  | "content-security-policy"
  | "cache-control"
  | "vary";

export interface Answer {
  readonly description: string;
  /** Null: no body. */
  readonly schema: AnySchema | null;
  /** `application/json` unless it is named. */
  readonly mediaTypes?: readonly string[];
  readonly headers?: readonly ResponseHeader[];
  readonly example?: JsonValue;
  /** Of a stream: what its events have as data, by their names. */
  readonly events?: Readonly<Record<string, AnySchema>>;
}

export interface Operation {
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  /** Markdown. */
  readonly description?: string;
  /** What the one parameter of the path is, `:id` as a rule. */
  readonly named?: AnySchema;
  /** Query parameters that must be there. */
  readonly needs?: readonly string[];
  readonly takesIdempotencyKey?: true;
  /** Of the body. */
  readonly example?: JsonValue;
  /** By status, those below 400. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Beside those that follow from the route (`problems.ts`). */
  readonly problems?: readonly ErrorCode[];
}

/** By `METHOD /path/:id`, as the route is registered. */
export type Operations = Readonly<Record<string, Operation>>;
