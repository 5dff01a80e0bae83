/**
 * An envelope outside of memory: its facts as text headers beside the body (Kafka), or as one line of JSON before it
 * (Redis). The body is never touched. What does not read back is a poison record and comes back as null.
 */
import * as v from "valibot";
import type { Envelope } from "./envelope.ts";
import { ENVELOPE_BODY_BYTES_MAX } from "./envelope.ts";
import { DELIVER_AHEAD_MS_MAX, EventType, Priority, PublishedId, TenantName, Traceparent } from "./event.ts";
import { ID_TIME_MS_MAX } from "./id.ts";
import { Tracestate } from "./tracestate.ts";

/** A count or a version as digits. */
export const RecordedWhole = v.pipe(
  v.string("must be digits"),
  v.regex(/^\d{1,15}$/, "must be 1 to 15 digits"),
  v.transform(Number),
);

/** Epoch ms as digits; ids and dates are made of it. */
export const RecordedTime = v.pipe(RecordedWhole, v.maxValue(ID_TIME_MS_MAX, `must be at most ${ID_TIME_MS_MAX}`));

/** The name of an endpoint, a delivery or a group: part of Redis keys, cursors and paths. */
export const RecordedName = v.pipe(
  v.string("must be a name"),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 characters of A-Z a-z 0-9 _ -"),
);

/** The door of the record: the same schemas as the API's, for a record may have been written by anyone. */
const Facts = v.pipe(
  v.object({
    id: PublishedId,
    tenant: TenantName,
    type: EventType,
    priority: Priority,
    accepted: RecordedTime,
    due: v.optional(RecordedTime),
    traceparent: v.optional(Traceparent),
    tracestate: v.optional(Tracestate),
    directory: RecordedWhole,
  }),
  v.forward(
    v.partialCheck(
      [["due"], ["accepted"]],
      ({ due, accepted }) => due === undefined || due <= accepted + DUE_AFTER_MS_MAX,
      "must lie at most 32 days after acceptance",
    ),
    ["due"],
  ),
);

/** As the API allows, and what a claim that is taken again and clocks that differ add. */
const DUE_AFTER_MS_MAX = DELIVER_AHEAD_MS_MAX + 2 * 24 * 3600 * 1000;
/** Of the line before a packed body. */
export const LINE_BYTES_MAX = 4096;
const NEWLINE = 0x0a;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Header names are lower case; values are text. */
export function envelopeHeaders(envelope: Envelope): Record<string, string> {
  const headers: Record<string, string> = {
    id: envelope.id,
    tenant: envelope.tenant,
    type: envelope.type,
    priority: envelope.priority,
    accepted: String(envelope.acceptedAtMs),
    directory: String(envelope.directoryVersion),
  };
  if (envelope.deliverAtMs !== null) headers["due"] = String(envelope.deliverAtMs);
  if (envelope.traceparent !== null) headers["traceparent"] = envelope.traceparent;
  if (envelope.tracestate !== null) headers["tracestate"] = envelope.tracestate;
  return headers;
}

/** Null when a fact is missing or malformed, or the body is larger than any event's. */
export function envelopeOfHeaders(headers: Readonly<Record<string, unknown>>, body: Uint8Array): Envelope | null {
  if (body.length > ENVELOPE_BODY_BYTES_MAX) return null;
  const parsed = v.safeParse(Facts, headers);
  if (!parsed.success) return null;
  const facts = parsed.output;
  return {
    id: facts.id,
    tenant: facts.tenant,
    type: facts.type,
    priority: facts.priority,
    acceptedAtMs: facts.accepted,
    deliverAtMs: facts.due ?? null,
    traceparent: facts.traceparent ?? null,
    tracestate: facts.tracestate ?? null,
    directoryVersion: facts.directory,
    body,
  };
}

/** Why `envelopeOfHeaders` gives null, in words for an operator; values are not repeated. */
export function envelopeFault(headers: Readonly<Record<string, unknown>>, body: Uint8Array): string {
  if (body.length > ENVELOPE_BODY_BYTES_MAX) {
    return `the event's body has ${body.length} bytes, at most ${ENVELOPE_BODY_BYTES_MAX} are taken`;
  }
  return headerFault(v.safeParse(Facts, headers));
}

/** Names the header that a schema refused, and what it must be. */
export function headerFault({ issues }: v.SafeParseResult<v.GenericSchema>): string {
  const issue = issues?.[0];
  if (issue === undefined) return "the record is not readable";
  const header = v.getDotPath(issue) ?? "?";
  return `header ${header} ${issue.message.startsWith("must") ? issue.message : "is missing"}`;
}

/** The facts as one line of JSON, then the body as it is. */
export function packEnvelope(envelope: Envelope): Uint8Array<ArrayBuffer> {
  const line = encoder.encode(`${JSON.stringify(envelopeHeaders(envelope))}\n`);
  const packed = new Uint8Array(line.length + envelope.body.length);
  packed.set(line);
  packed.set(envelope.body, line.length);
  return packed;
}

/** Null when the bytes are not those of `packEnvelope`. The body is a view on the given bytes. */
export function unpackEnvelope(packed: Uint8Array): Envelope | null {
  const parts = splitPacked(packed);
  return parts === null ? null : envelopeOfHeaders(parts.facts, parts.body);
}

/** Why `unpackEnvelope` gives null, in words for an operator. */
export function packedFault(packed: Uint8Array): string {
  const parts = splitPacked(packed);
  return parts === null
    ? "the facts before the body are no line of JSON"
    : envelopeFault(parts.facts, parts.body).replace("header", "fact");
}

function splitPacked(
  packed: Uint8Array,
): { readonly facts: Readonly<Record<string, unknown>>; readonly body: Uint8Array } | null {
  const end = packed.subarray(0, LINE_BYTES_MAX).indexOf(NEWLINE);
  if (end < 0) return null;
  try {
    const facts: unknown = JSON.parse(decoder.decode(packed.subarray(0, end)));
    if (typeof facts !== "object" || facts === null) return null;
    return { facts: facts as Record<string, unknown>, body: packed.subarray(end + 1) };
  } catch {
    return null;
  }
}
