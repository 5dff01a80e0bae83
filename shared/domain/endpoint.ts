/**
 * An endpoint: a tenant's URL with its secret and settings, and which event types it receives.
 * The schemas are the grammar of `POST /v1/endpoints` and `PATCH /v1/endpoints/:id`.
 */
import * as v from "valibot";
import { boundedList } from "./bounded-list.ts";
import { ExtraHeaders, HeaderChanges } from "./endpoint-headers.ts";
import { Trouble } from "./endpoint-trouble.ts";
import { EndpointUrl } from "./endpoint-url.ts";
import { EVENT_TYPE_LENGTH_MAX, EventType, OPERATOR_TENANT, OWN_TYPES, TenantName } from "./event.ts";
import { freeText } from "./free-text.ts";
import { TimeMs } from "./id.ts";
import { RetryPolicy } from "./retry-policy.ts";
import { parseSecret } from "./signature.ts";

export const ENDPOINTS_PER_TENANT_MAX = 1000;
export const SUBSCRIPTIONS_MAX = 100;
/** Old and new secret sign side by side this long after a rotation. */
export const SECRET_OVERLAP_MS = 24 * 3600 * 1000;
/** Secrets that may sign at once; a rotation past this is refused, as it would break the promise made to an older one. */
export const SECRETS_MAX = 3;

export const ENDPOINT_STATUSES = ["active", "paused", "disabled"] as const;
export type EndpointStatus = (typeof ENDPOINT_STATUSES)[number];

export interface EndpointSecret {
  /** `whsec_...`, in the clear in memory, sealed at rest. */
  readonly secret: string;
  readonly createdAtMs: number;
  /** Null for the newest, which has no end. */
  readonly expiresAtMs: number | null;
}

export interface RateLimit {
  readonly limit: number;
  readonly windowMs: number;
}

export interface BatchSetting {
  readonly maxEvents: number;
  readonly maxWaitMs: number;
}

export interface Endpoint {
  readonly id: string;
  readonly tenant: string;
  readonly url: string;
  readonly eventTypes: readonly string[];
  readonly description: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Newest first. */
  readonly secrets: readonly EndpointSecret[];
  /** Null: the default schedule. */
  readonly retry: RetryPolicy | null;
  readonly rateLimit: RateLimit | null;
  /** Null: no grouped POSTs. */
  readonly batch: BatchSetting | null;
  readonly status: EndpointStatus;
  /** Why and since when it is not active; null while active. */
  readonly statusReason: string | null;
  readonly statusSinceMs: number | null;
  /** Null: it is well, as far as is known. */
  readonly trouble: Trouble | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** What stores keep of an endpoint beside its name: as wide as any version wrote it. A record may have been written by anyone. */
export const EndpointRecord = v.object({
  url: v.pipe(v.string(), v.regex(/^https?:/), v.url()),
  eventTypes: v.array(v.string()),
  description: v.string(),
  headers: v.record(v.string(), v.string()),
  secrets: v.pipe(
    v.array(v.object({ secret: v.string(), createdAtMs: TimeMs, expiresAtMs: v.nullable(TimeMs) })),
    v.minLength(1),
  ),
  retry: v.nullable(RetryPolicy),
  rateLimit: v.nullable(v.object({ limit: Count, windowMs: Count })),
  batch: v.nullable(v.object({ maxEvents: Count, maxWaitMs: v.pipe(v.number(), v.minValue(0)) })),
  status: v.picklist(ENDPOINT_STATUSES),
  statusReason: v.nullable(v.string()),
  statusSinceMs: v.nullable(TimeMs),
  // Records of earlier releases have none.
  trouble: v.optional(v.nullable(Trouble), null),
  createdAtMs: TimeMs,
  updatedAtMs: TimeMs,
});

/** `*`, a type, or a type's prefix followed by `.*`. */
export const Subscription = v.pipe(
  v.string("must be a string"),
  v.metadata({
    pattern: String.raw`^(?:\*|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:\.\*)?)$`,
    maxLength: EVENT_TYPE_LENGTH_MAX,
    description: "An event type, a prefix with `.*`, or `*` for all but our own.",
    examples: ["invoice.*"],
  }),
  v.check(
    (text) => text === "*" || v.is(EventType, text.endsWith(".*") ? text.slice(0, -2) : text),
    "must be *, an event type such as order.paid, or a prefix such as order.*",
  ),
);

/** A signing secret that the owner brings along. */
export const EndpointSecretText = v.pipe(
  v.string("must be a string"),
  v.metadata({
    pattern: "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$",
    description: "`whsec_` and the padded base64 of 24 to 64 random bytes.",
  }),
  v.check(
    (text) => parseSecret(text).kind === "ok",
    "must be whsec_ followed by the padded base64 of 24 to 64 random bytes; leave it out and one is made for you",
  ),
);

const whole = (from: number, to: number) =>
  v.pipe(
    v.number(`must be a whole number from ${from} to ${to}`),
    v.integer(`must be a whole number from ${from} to ${to}`),
    v.minValue(from, `must be at least ${from}`),
    v.maxValue(to, `must be at most ${to}`),
  );

/** The rate limit of a key or of an endpoint; a window of at most one day. */
export const RateLimitSetting = v.pipe(
  v.strictObject({ limit: whole(1, 100_000), window_ms: whole(1, 86_400_000) }),
  v.transform(({ limit, window_ms }): RateLimit => ({ limit, windowMs: window_ms })),
);

export const BatchOption = v.pipe(
  v.strictObject({ max_events: whole(1, 1000), max_wait_ms: whole(0, 60_000) }),
  v.transform(({ max_events, max_wait_ms }): BatchSetting => ({ maxEvents: max_events, maxWaitMs: max_wait_ms })),
);

const settings = {
  url: EndpointUrl,
  event_types: boundedList(Subscription, {
    max: SUBSCRIPTIONS_MAX,
    what: "event types",
    kind: "a list of event types",
    none: 'must name at least one event type, or "*"',
    words: "What it receives.",
  }),
  description: freeText(500),
  retry: v.nullable(RetryPolicy),
  rate_limit: v.nullable(RateLimitSetting),
  batch: v.nullable(BatchOption),
  paused: v.boolean("must be true or false"),
};

export const NewEndpoint = v.strictObject({
  url: settings.url,
  event_types: v.optional(settings.event_types, ["*"]),
  tenant: v.optional(TenantName),
  description: v.optional(settings.description, ""),
  headers: v.optional(ExtraHeaders, {}),
  secret: v.optional(EndpointSecretText),
  retry: v.pipe(v.optional(settings.retry, null), v.description("When attempts are made; null: ten over three days.")),
  rate_limit: v.pipe(
    v.optional(settings.rate_limit, null),
    v.description("Most attempts in a window; null: no limit."),
  ),
  batch: v.pipe(v.optional(settings.batch, null), v.description("LOW events in one POST; null: each in its own.")),
  paused: v.pipe(
    v.optional(settings.paused, false),
    v.description("What comes meanwhile is held until the pause ends."),
  ),
});
export type NewEndpoint = v.InferOutput<typeof NewEndpoint>;

/** Only the members that are present change; null takes a setting back to its default. */
export const EndpointPatch = v.strictObject({
  url: v.optional(settings.url),
  event_types: v.optional(settings.event_types),
  description: v.optional(settings.description),
  headers: v.pipe(
    v.optional(v.nullable(HeaderChanges)),
    v.description("Each changes one header alone; null removes all."),
  ),
  retry: v.optional(settings.retry),
  rate_limit: v.optional(settings.rate_limit),
  batch: v.optional(settings.batch),
  paused: v.pipe(
    v.optional(settings.paused),
    v.description("true pauses, a disabled endpoint too; false ends a pause only."),
  ),
  disabled: v.pipe(
    v.optional(v.literal(false, "can only be set to false, which enables the endpoint again")),
    v.description("false enables what Posthaste disabled."),
  ),
});
export type EndpointPatch = v.InferOutput<typeof EndpointPatch>;

/**
 * Does the endpoint take this event type? `order.*` takes `order.paid` and `order.paid.late`, not `order`. Our own events
 * are for those who name them: `*` takes them in the operator's tenant alone, to which nobody else sends anything.
 */
export function matches({ eventTypes, tenant }: Pick<Endpoint, "eventTypes" | "tenant">, type: string): boolean {
  return eventTypes.some((rule) => (rule === "*" ? isForAll(type, tenant) : covers(rule, type)));
}

/** Of a type, or a prefix with `.*`. */
export function covers(rule: string, type: string): boolean {
  return rule === type || (rule.endsWith(".*") && type.startsWith(rule.slice(0, -1)));
}

/** All rules that take events of the type, as `matches` decides, for endpoints of `tenant`: two, and one for each dot in it. */
export function rulesFor(type: string, tenant: string): readonly string[] {
  const rules = [type];
  for (let dot = type.indexOf("."); dot !== -1; dot = type.indexOf(".", dot + 1)) rules.push(`${type.slice(0, dot)}.*`);
  if (isForAll(type, tenant)) rules.push("*");
  return rules;
}

function isForAll(type: string, tenant: string): boolean {
  return !type.startsWith(OWN_TYPES) || tenant === OPERATOR_TENANT;
}

/** Secrets that sign at `nowMs`, newest first. */
export function activeSecrets(endpoint: Endpoint, nowMs: number): readonly EndpointSecret[] {
  return endpoint.secrets.filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > nowMs);
}

export type Rotation =
  | { readonly kind: "rotated"; readonly secrets: readonly EndpointSecret[] }
  /** As many sign as may; the first of them ends then. */
  | { readonly kind: "full"; readonly freeAtMs: number };

/** After `secret` takes over, the older ones end with the overlap. None ends before the time that was promised for it. */
export function rotateSecrets(endpoint: Endpoint, secret: string, nowMs: number): Rotation {
  const older = activeSecrets(endpoint, nowMs).map((old) => ({
    ...old,
    expiresAtMs: old.expiresAtMs ?? nowMs + SECRET_OVERLAP_MS,
  }));
  if (older.length < SECRETS_MAX) {
    return { kind: "rotated", secrets: [{ secret, createdAtMs: nowMs, expiresAtMs: null }, ...older] };
  }
  return { kind: "full", freeAtMs: Math.min(...older.map(({ expiresAtMs }) => expiresAtMs)) };
}
