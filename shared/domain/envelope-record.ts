/**
 * An envelope outside of memory: its facts as text headers beside the body (Kafka), or as one line of JSON before it
 * (Redis). The body is never touched. What does not read back is a poison record and comes back as null.
 */
import * as v from "valibot";
import type { Envelope } from "./envelope.ts";
import { EventType, Priority, PublishedId, TenantName } from "./event.ts";

/**
 * As strict as the API: an id with a dot cannot be signed, a tenant with a slash is another's key, and a line feed in a
 * traceparent is no header field. What is not so was not written by us, and ends here instead of in the work on it.
 */
const Facts = v.object({
  id: PublishedId,
  tenant: TenantName,
  type: EventType,
  priority: Priority,
  accepted: v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number)),
  due: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))),
  traceparent: v.optional(v.pipe(v.string(), v.regex(/^[!-~]{1,256}$/))),
  directory: v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number)),
});

const LINE_BYTES_MAX = 4096;
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
  return headers;
}

/** Null when a fact is missing or malformed. */
export function envelopeOfHeaders(headers: Readonly<Record<string, unknown>>, body: Uint8Array): Envelope | null {
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
    directoryVersion: facts.directory,
    body,
  };
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
  const end = packed.subarray(0, LINE_BYTES_MAX).indexOf(NEWLINE);
  if (end < 0) return null;
  try {
    const facts: unknown = JSON.parse(decoder.decode(packed.subarray(0, end)));
    return typeof facts === "object" && facts !== null
      ? envelopeOfHeaders(facts as Record<string, unknown>, packed.subarray(end + 1))
      : null;
  } catch {
    return null;
  }
}
