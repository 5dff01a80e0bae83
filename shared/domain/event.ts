/**
 * An event as a publisher hands it in, and the words priority and lane.
 * The schema is the whole grammar of `POST /v1/events`; `data` is checked to be JSON by the parser and kept as text.
 */
import * as v from "valibot";

export const Priority = v.picklist(["HIGH", "MEDIUM", "LOW"], "must be HIGH, MEDIUM or LOW");
export type Priority = v.InferOutput<typeof Priority>;

export type Lane = "high" | "medium" | "low";

/** In the order in which free capacity is given away. */
export const LANES = ["high", "medium", "low"] as const satisfies readonly Lane[];

export const laneByPriority = { HIGH: "high", MEDIUM: "medium", LOW: "low" } as const satisfies Record<Priority, Lane>;

/** Most bytes of one event's request body; RFC 9110 section 15.5.14 answers 413 past it. */
export const EVENT_BYTES_MAX = 256 * 1024;
/** Most bytes of a batch request's body. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Most events in one batch. */
export const BATCH_EVENTS_MAX = 1000;
/** `deliver_at` may lie at most this far ahead. */
export const DELIVER_AHEAD_MS_MAX = 30 * 24 * 3600 * 1000;

export const EVENT_TYPE_LENGTH_MAX = 128;

const eventTypePattern = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;

/** One or more segments of `[A-Za-z0-9_-]`, joined by dots; at most 128 characters. */
export const EventType = v.pipe(
  v.string("must be a string such as invoice.paid"),
  v.metadata({ examples: ["invoice.paid"] }),
  v.maxLength(EVENT_TYPE_LENGTH_MAX, `must have at most ${EVENT_TYPE_LENGTH_MAX} characters`),
  v.regex(eventTypePattern, "must be segments of A-Z a-z 0-9 _ - joined by dots, such as invoice.paid"),
);

/** What the types of our own events begin with. */
export const OWN_TYPES = "posthaste.";

/** The type of an event that a publisher hands in. */
export const PublishedType = v.pipe(
  EventType,
  v.metadata({
    not: { pattern: String.raw`^posthaste\.` },
    description: "Segments joined by dots. Types that begin with `posthaste.` are our own.",
  }),
  v.check((type) => !type.startsWith(OWN_TYPES), `must not begin with ${OWN_TYPES}, as only our own events do`),
);

/** The publisher's own event id: unique for the tenant, safe in a header and a path. */
export const PublishedId = v.pipe(
  v.string("must be a string"),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 characters of A-Z a-z 0-9 _ -"),
);

/** A tenant's name: chosen by the operator, safe in keys and paths. `operator` is reserved for operator keys. */
export const TenantName = v.pipe(
  v.string("must be a string"),
  v.description("For operator keys: the tenant that is meant, `default` without one. A tenant key has its own."),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 characters of A-Z a-z 0-9 _ -"),
);

/** The reserved tenant whose endpoints get our own alerts; operator keys only. */
export const OPERATOR_TENANT = "operator";

const INSTANT_MS_MIN = Date.parse("0000-01-01T00:00:00Z");
const INSTANT_MS_MAX = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * RFC 3339 section 5.6 with a full date, a time and an offset; becomes epoch ms. Leap seconds are refused, as epoch time
 * has none, and so is an offset that leads out of the years 0000 to 9999, as RFC 3339 could not write it again.
 */
export const Instant = v.pipe(
  v.string("must be an RFC 3339 time such as 2026-01-31T12:00:00Z"),
  v.metadata({
    format: "date-time",
    description: "RFC 3339, without leap seconds, in the years 0000 to 9999 in UTC.",
    examples: ["2026-01-31T12:00:00Z"],
  }),
  v.regex(
    /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,64})?(?:[Zz]|[+-]\d{2}:\d{2})$/,
    "must be an RFC 3339 time such as 2026-01-31T12:00:00Z",
  ),
  v.check((text) => !text.startsWith("60", 17), "must not be a leap second; give the second before or after"),
  v.transform((text) => parseInstant(text.toUpperCase())),
  v.check((atMs) => Number.isFinite(atMs), "must be a time that exists"),
  v.check((atMs) => !(atMs < INSTANT_MS_MIN || atMs > INSTANT_MS_MAX), "must lie in the years 0000 to 9999 in UTC"),
);

const clockPattern = /T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** NaN for a day that its month lacks, and for what `Date.parse` of some runtime would take: hour 24, offset +99:99. */
function parseInstant(text: string): number {
  const day = text.slice(0, 10);
  const midnightMs = Date.parse(`${day}T00:00:00Z`);
  const isDay = Number.isFinite(midnightMs) && new Date(midnightMs).toISOString().startsWith(day);
  return isDay && clockPattern.test(text) ? Date.parse(text) : Number.NaN;
}

/** W3C Trace Context, section 3.2: version 00, neither id all zeros, lower case. */
export const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export const Traceparent = v.pipe(
  v.string("must be a string"),
  v.regex(TRACEPARENT, "must be a traceparent of W3C Trace Context, version 00"),
);

export const NewEvent = v.strictObject({
  type: PublishedType,
  data: v.pipe(
    v.unknown(),
    v.metadata({ description: "Any JSON, null too. It is delivered as the very text it was sent as." }),
  ),
  priority: v.optional(Priority, "MEDIUM"),
  id: v.pipe(
    v.optional(PublishedId),
    v.description("Your own id, unique for the tenant; the event is published once under it."),
  ),
  tenant: v.optional(TenantName),
  timestamp: v.pipe(v.optional(Instant), v.description("When it happened; the time of acceptance by default.")),
  deliver_at: v.pipe(
    v.optional(Instant),
    v.description("Not before; at most 30 days ahead. In the past means at once."),
  ),
});
export type NewEvent = v.InferOutput<typeof NewEvent>;

/** A batch as a whole; its items are read one by one, so that one that is refused costs the others nothing. */
export const NewBatch = v.strictObject({
  events: v.pipe(v.array(NewEvent), v.minLength(1), v.maxLength(BATCH_EVENTS_MAX)),
});
