/**
 * An accepted event on its way: the body that receivers will get, built once at the door, and the facts beside it.
 * `data` is the publisher's own text, byte for byte (`json-span.ts`); nobody serialises it again.
 */
import type { Lane, Priority } from "./event.ts";
import { EVENT_BYTES_MAX, laneByPriority } from "./event.ts";

/** Most bytes of an event's body: what the API takes, and the frame of `envelopeBody` around it. */
export const ENVELOPE_BODY_BYTES_MAX = EVENT_BYTES_MAX + 1024;

export interface Envelope {
  /** The event's id, and `webhook-id` of each attempt to deliver it. */
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly priority: Priority;
  /** When the event was made durable; epoch ms. */
  readonly acceptedAtMs: number;
  /** Not to be delivered before; null when at once. */
  readonly deliverAtMs: number | null;
  /** W3C Trace Context of the publisher, or null. */
  readonly traceparent: string | null;
  /** Of the same trace; null without one, and where nobody kept anything beside it. */
  readonly tracestate: string | null;
  /** Fan-out must see at least this version of the tenant's directory (promise 9). */
  readonly directoryVersion: number;
  /** `{"type","timestamp","data"}` in UTF-8; the bytes that are signed and sent. */
  readonly body: Uint8Array;
}

export function laneOf(envelope: Envelope): Lane {
  return laneByPriority[envelope.priority];
}

const encoder = new TextEncoder();

/** Builds the body. `dataText` must be valid JSON text; `type` must be an `EventType`, which needs no escapes. */
export function envelopeBody(parts: { type: string; timestampMs: number; dataText: string }): Uint8Array<ArrayBuffer> {
  const timestamp = new Date(parts.timestampMs).toISOString();
  return encoder.encode(`{"type":"${parts.type}","timestamp":"${timestamp}","data":${parts.dataText}}`);
}

/** An id that the type of each grouped POST carries; see `groupBody`. */
export const GROUP_TYPE = "posthaste.batch";

/** A grouped POST is closed before its body would pass this. */
export const GROUP_BYTES_MAX = 512 * 1024;

/**
 * The body of one POST for several LOW events: `{"type":"posthaste.batch","timestamp","data":[...]}`, each member the
 * event's own body with its id put first. The same members in the same order give the same bytes on each attempt.
 */
export function groupBody(members: readonly Envelope[], timestampMs: number): Uint8Array<ArrayBuffer> {
  const opening = encoder.encode(
    `{"type":"${GROUP_TYPE}","timestamp":"${new Date(timestampMs).toISOString()}","data":[`,
  );
  const parts: Uint8Array[] = [opening];
  members.forEach((member, index) => {
    parts.push(encoder.encode(`${index === 0 ? "" : ","}{"id":"${member.id}",`), member.body.subarray(1));
  });
  parts.push(encoder.encode("]}"));
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** What a group's body holds beside its members, in bytes. */
export const GROUP_FRAME_BYTES = groupBody([], 0).length;

/** What a member adds to a group's body at most, in bytes; the comma before it is one of them. */
export function groupMemberBytes(member: Envelope): number {
  return member.body.length + member.id.length + 9;
}
