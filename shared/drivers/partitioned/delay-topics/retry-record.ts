/**
 * A scheduled item as a record of the partition log: its facts as headers, its members as value. A group's members share most
 * facts, so that each one after the first carries only what differs: a group of 512 KiB in 1,000 members stays below
 * `RETRY_VALUE_BYTES_MAX`.
 */
import * as v from "valibot";
import type { Envelope } from "../../../domain/envelope.ts";
import {
  RecordedName,
  RecordedTime,
  RecordedWhole,
  envelopeFault,
  envelopeHeaders,
  envelopeOfHeaders,
  headerFault,
} from "../../../domain/envelope-record.ts";
import { BATCH_EVENTS_MAX } from "../../../domain/event.ts";
import { ATTEMPTS_MAX } from "../../../domain/retry-policy.ts";
import { assert } from "../../../lib/assert.ts";
import type { ConsumerRecord, NewRecord } from "../../../ports/partition-log.ts";
import type { ScheduleCause, Scheduled } from "../../../ports/retry-queue.ts";
import { asLogTime } from "./log-time.ts";

/** Below the record size that logs accept by default (1 MiB). */
export const RETRY_VALUE_BYTES_MAX = 900 * 1024;

export type ParsedRetry =
  /** `notBeforeMs` is the log's time. */
  | {
      readonly kind: "item";
      readonly item: Scheduled;
      readonly relays: number;
      /** What the planner's clock showed; null when times were the log's already. */
      readonly written: { readonly writer: string; readonly atMs: number } | null;
    }
  | { readonly kind: "poison"; readonly reason: string };

/** The causes of what may be fanned out when it is due, and so names no endpoint. A retry is always of one. */
const FANNED_OUT_LATE: ReadonlySet<ScheduleCause> = new Set(["deliver-at", "relieved", "parked", "replay"]);

/** Longer than any wait that is planned: a week between attempts, a month for `deliver_at`. */
const WAIT_MS_MAX = 366 * 24 * 3600 * 1000;

const Facts = v.object({
  cause: v.picklist(
    ["retry", "parked", "replay", "deliver-at", "relieved"],
    "must be retry, parked, replay, deliver-at or relieved",
  ),
  "not-before": RecordedTime,
  endpoint: v.optional(RecordedName),
  generation: RecordedTime,
  attempt: v.pipe(
    RecordedWhole,
    v.minValue(1, "must be at least 1"),
    v.maxValue(ATTEMPTS_MAX, `must be at most ${ATTEMPTS_MAX}`),
  ),
  parks: RecordedWhole,
  unmade: v.optional(RecordedWhole, "0"),
  aside: v.optional(RecordedWhole, "0"),
  hops: RecordedWhole,
  group: v.optional(RecordedName),
  "group-closed": v.optional(RecordedTime),
  written: v.optional(RecordedTime),
  writer: v.optional(RecordedName),
});

/** How a member is framed: length of the facts, length of the body, both 32 bits big-endian; then the two. */
const FRAME_BYTES = 8;
const CUT = "the members end too early";
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Records of one event share a key, so that repeats of an item meet in one partition. */
export function retryRecord(parts: {
  readonly item: Scheduled;
  /** How often it went from topic to topic before this one. */
  readonly relays: number;
  readonly topic: string;
  readonly nowMs: number;
  /** Whose clock `notBeforeMs` and `nowMs` are of: a process that plans has its own, one that relays goes by the log's. */
  readonly time: "own" | "log";
  /** Names the process that plans. */
  readonly writer?: string;
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
    unmade: String(item.unmade),
    aside: String(item.putAside),
    hops: String(parts.relays),
  };
  if (parts.time === "own") headers["written"] = String(Math.floor(parts.nowMs));
  if (parts.writer !== undefined) headers["writer"] = parts.writer;
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
  const { headers, value, timestampMs } = record;
  const parsed = v.safeParse(Facts, headers);
  if (!parsed.success) return poison(headerFault(parsed));
  if (value === null) return poison("the record has no value, which is its members");
  if (value.length > RETRY_VALUE_BYTES_MAX) {
    return poison(`the members have ${value.length} bytes, at most ${RETRY_VALUE_BYTES_MAX} are taken`);
  }
  const members = unpackMembers(value);
  if (typeof members === "string") return poison(members);
  const facts = parsed.output;
  const { group: id, "group-closed": closedAtMs, endpoint = null, "not-before": plannedMs } = facts;
  const group = id === undefined || closedAtMs === undefined ? null : { id, closedAtMs };
  const notBeforeMs = dueAtMs(facts.cause, plannedMs, facts.written ?? null, timestampMs, members);
  if (notBeforeMs > timestampMs + WAIT_MS_MAX) return poison("header not-before lies more than a year ahead");
  if (endpoint === null && !FANNED_OUT_LATE.has(facts.cause)) return poison("header endpoint is missing");
  const fault = membersFault(members, group !== null, endpoint !== null);
  if (fault !== null) return poison(fault);
  const item: Scheduled = {
    cause: facts.cause,
    notBeforeMs,
    endpointId: endpoint,
    generation: facts.generation,
    attempt: facts.attempt,
    deferrals: facts.parks,
    unmade: facts.unmade,
    putAside: facts.aside,
    members,
    group,
  };
  const { written: atMs, writer } = facts;
  const written = atMs === undefined || writer === undefined ? null : { writer, atMs };
  return { kind: "item", item, relays: facts.hops, written };
}

/** A wait is as long as it was planned, whatever the planner's clock shows; a `deliver_at` is a time that people wrote. */
function dueAtMs(
  cause: ScheduleCause,
  plannedMs: number,
  writtenAtMs: number | null,
  timestampMs: number,
  members: readonly Envelope[],
): number {
  const shiftedMs = cause === "deliver-at" ? plannedMs : asLogTime(plannedMs, writtenAtMs, timestampMs);
  return shiftedMs >= plannedMs ? shiftedMs : Math.max(shiftedMs, members[0]?.deliverAtMs ?? 0);
}

function poison(reason: string): ParsedRetry {
  return { kind: "poison", reason };
}

/** What is sent in one POST is one tenant's, and for one endpoint. */
function membersFault(members: readonly Envelope[], isGroup: boolean, hasEndpoint: boolean): string | null {
  const tenant = members[0]?.tenant;
  if (tenant === undefined) return "the record has no members";
  if (members.length > BATCH_EVENTS_MAX) return `there are more than ${BATCH_EVENTS_MAX} members`;
  if (members.length > 1 && !isGroup) return "there are several members and no group";
  if (isGroup && !hasEndpoint) return "there is a group and no endpoint";
  return members.every((member) => member.tenant === tenant) ? null : "the members are of several tenants";
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

/** Why, when the bytes are not those of `packMembers`. The bodies are views on the given bytes. */
function unpackMembers(packed: Uint8Array): readonly Envelope[] | string {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const members: Envelope[] = [];
  let shared: Record<string, unknown> = {};
  for (let at = 0; at < packed.length;) {
    if (at + FRAME_BYTES > packed.length) return CUT;
    const factsAt = at + FRAME_BYTES;
    const bodyAt = factsAt + view.getUint32(at);
    const end = bodyAt + view.getUint32(at + 4);
    if (end > packed.length) return CUT;
    const own = parseFacts(packed.subarray(factsAt, bodyAt));
    if (own === null) return "a member's facts are no JSON";
    const facts = Object.fromEntries(Object.entries({ ...shared, ...own }).filter(([, fact]) => fact !== null));
    const body = packed.subarray(bodyAt, end);
    const member = envelopeOfHeaders(facts, body);
    if (member === null) return `a member: ${envelopeFault(facts, body)}`;
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
