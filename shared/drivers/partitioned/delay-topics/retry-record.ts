/**
 * A scheduled item as a record of the partition log: its facts as headers, its members as value. A group's members share most
 * facts, so that each one after the first carries only what differs: a group of 512 KiB in 1,000 members stays below
 * `RETRY_VALUE_BYTES_MAX`.
 */
import * as v from "valibot";
import type { Envelope } from "../../../domain/envelope.ts";
import { envelopeHeaders, envelopeOfHeaders } from "../../../domain/envelope-record.ts";
import { assert } from "../../../lib/assert.ts";
import type { ConsumerRecord, NewRecord } from "../../../ports/partition-log.ts";
import type { Scheduled } from "../../../ports/retry-queue.ts";

/** Below the record size that logs accept by default (1 MiB). */
export const RETRY_VALUE_BYTES_MAX = 900 * 1024;

export type ParsedRetry =
  | { readonly kind: "item"; readonly item: Scheduled; readonly relays: number }
  | { readonly kind: "poison"; readonly reason: string };

const Count = v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number));
const Ordinal = v.pipe(v.string(), v.regex(/^[1-9]\d{0,14}$/), v.transform(Number));
const Time = v.pipe(v.string(), v.regex(/^-?\d{1,15}$/), v.transform(Number));
/** Of an endpoint or a group: what is safe in a key and a header. */
const Name = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/));

const Facts = v.object({
  cause: v.picklist(["retry", "parked", "replay", "deliver-at", "relieved"]),
  "not-before": Time,
  endpoint: v.optional(Name),
  generation: Count,
  attempt: Ordinal,
  parks: Count,
  hops: Count,
  group: v.optional(Name),
  "group-closed": v.optional(Time),
});

/** How a member is framed: length of the facts, length of the body, both 32 bits big-endian; then the two. */
const FRAME_BYTES = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Records of one event share a key, so that repeats of an item meet in one partition. */
export function retryRecord(parts: {
  readonly item: Scheduled;
  /** How often it went from topic to topic before this one. */
  readonly relays: number;
  readonly topic: string;
  readonly nowMs: number;
}): NewRecord {
  const { item } = parts;
  const first = item.members[0];
  assert(first !== undefined, "a scheduled item has a member");
  const headers: Record<string, string> = {
    cause: item.cause,
    "not-before": String(item.notBeforeMs),
    generation: String(item.generation),
    attempt: String(item.attempt),
    parks: String(item.deferrals),
    hops: String(parts.relays),
  };
  if (item.endpointId !== null) headers["endpoint"] = item.endpointId;
  if (item.group !== null) {
    headers["group"] = item.group.id;
    headers["group-closed"] = String(item.group.closedAtMs);
  }
  const value = packMembers(item.members, first);
  assert(value.length <= RETRY_VALUE_BYTES_MAX, "what is attempted in one POST fits into a record");
  return { topic: parts.topic, partition: null, key: first.id, value, headers, timestampMs: parts.nowMs };
}

export function parseRetryRecord(record: ConsumerRecord): ParsedRetry {
  const parsed = v.safeParse(Facts, record.headers);
  if (!parsed.success)
    return { kind: "poison", reason: `header not readable: ${v.getDotPath(parsed.issues[0]) ?? "?"}` };
  const facts = parsed.output;
  const members = record.value === null ? null : unpackMembers(record.value);
  if (members === null || members.length === 0) return { kind: "poison", reason: "the members are not readable" };
  const { group: id, "group-closed": closedAtMs } = facts;
  const group = id === undefined || closedAtMs === undefined ? null : { id, closedAtMs };
  if (group === null && members.length > 1) return { kind: "poison", reason: "several members without a group" };
  const item: Scheduled = {
    cause: facts.cause,
    notBeforeMs: facts["not-before"],
    endpointId: facts.endpoint ?? null,
    generation: facts.generation,
    attempt: facts.attempt,
    deferrals: facts.parks,
    members,
    group,
  };
  return { kind: "item", item, relays: facts.hops };
}

function packMembers(members: readonly Envelope[], first: Envelope): Uint8Array<ArrayBuffer> {
  const shared = envelopeHeaders(first);
  const frames = members.map((member) => ({
    facts: encoder.encode(JSON.stringify(member === first ? shared : factsBeyond(shared, envelopeHeaders(member)))),
    body: member.body,
  }));
  const packed = new Uint8Array(
    frames.reduce((sum, { facts, body }) => sum + FRAME_BYTES + facts.length + body.length, 0),
  );
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { facts, body } of frames) {
    view.setUint32(at, facts.length);
    view.setUint32(at + 4, body.length);
    packed.set(facts, at + FRAME_BYTES);
    packed.set(body, at + FRAME_BYTES + facts.length);
    at += FRAME_BYTES + facts.length + body.length;
  }
  return packed;
}

/** What differs; a fact that only the first member has is null. */
function factsBeyond(shared: Record<string, string>, own: Record<string, string>): Record<string, string | null> {
  const names = new Set([...Object.keys(shared), ...Object.keys(own)]);
  const beyond: Record<string, string | null> = {};
  for (const name of names) if (own[name] !== shared[name]) beyond[name] = own[name] ?? null;
  return beyond;
}

/** Null when the bytes are not those of `packMembers`. The bodies are views on the given bytes. */
function unpackMembers(packed: Uint8Array): readonly Envelope[] | null {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const members: Envelope[] = [];
  let shared: Record<string, unknown> = {};
  for (let at = 0; at < packed.length;) {
    if (at + FRAME_BYTES > packed.length) return null;
    const factsAt = at + FRAME_BYTES;
    const bodyAt = factsAt + view.getUint32(at);
    const end = bodyAt + view.getUint32(at + 4);
    if (end > packed.length) return null;
    const own = parseFacts(packed.subarray(factsAt, bodyAt));
    if (own === null) return null;
    const facts = Object.fromEntries(Object.entries({ ...shared, ...own }).filter(([, fact]) => fact !== null));
    const member = envelopeOfHeaders(facts, packed.subarray(bodyAt, end));
    if (member === null) return null;
    if (members.length === 0) shared = facts;
    members.push(member);
    at = end;
  }
  return members;
}

function parseFacts(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const facts: unknown = JSON.parse(decoder.decode(bytes));
    return typeof facts === "object" && facts !== null ? (facts as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
