/** What the ledger's scripts are given and what they give back: entries as arguments, replies as views. */
import type { AttemptResult } from "../../../domain/attempt.ts";
import type { DeliveryState } from "../../../domain/delivery.ts";
import type { Envelope } from "../../../domain/envelope.ts";
import { packEnvelope, unpackEnvelope } from "../../../domain/envelope-record.ts";
import { assert, unreachable } from "../../../lib/assert.ts";
import type {
  AttemptView,
  DeliveryRecord,
  DeliveryView,
  EventRecord,
  FanOut,
  LedgerEntry,
} from "../../../ports/ledger.ts";
import { FAN_OUT_IDS_MAX } from "../../../ports/ledger.ts";
import type { RedisArgument, RedisReply } from "../client/redis-commands.ts";

/** The part of a delivery that scripts never look at. */
interface StoredDelivery {
  readonly updatedAtMs: number;
  readonly nextAttemptAtMs: number | null;
  readonly reason: string | null;
}

interface StoredAttempt {
  readonly eventType: string;
  readonly atMs: number;
  readonly result: AttemptResult;
  readonly groupId: string | null;
  readonly reason: string | null;
}

export function envelopeArguments(envelope: Envelope): RedisArgument[] {
  const { tenant, id, type, acceptedAtMs, deliverAtMs } = envelope;
  return [tenant, id, type, acceptedAtMs, deliverAtMs ?? 0, packEnvelope(envelope)];
}

export function entryArguments(entry: LedgerEntry): RedisArgument[] {
  switch (entry.kind) {
    case "fan-out":
      return fanOutArguments(entry.fanOut);
    case "delivery":
      return deliveryArguments(entry.delivery);
    default:
      return unreachable(entry);
  }
}

export function tenantOf(entry: LedgerEntry): string {
  return entry.kind === "fan-out" ? entry.fanOut.tenant : entry.delivery.tenant;
}

function fanOutArguments(fanOut: FanOut): RedisArgument[] {
  const stored: FanOut = {
    ...fanOut,
    matched: fanOut.matched.slice(0, FAN_OUT_IDS_MAX),
    filtered: fanOut.filtered.slice(0, FAN_OUT_IDS_MAX),
  };
  return ["f", fanOut.tenant, fanOut.eventId, fanOut.atMs, fanOut.matchedCount, JSON.stringify(stored)];
}

function deliveryArguments(record: DeliveryRecord): RedisArgument[] {
  const { tenant, eventId, endpointId, generation, state, attempt, atMs, nextAttemptAtMs, reason } = record;
  const delivery: StoredDelivery = { updatedAtMs: atMs, nextAttemptAtMs, reason };
  return [
    "d",
    tenant,
    eventId,
    endpointId,
    generation,
    state,
    attempt,
    atMs,
    nextAttemptAtMs ?? 0,
    JSON.stringify(delivery),
    record.result === null ? "" : attemptText(record, record.result),
  ];
}

function attemptText(record: DeliveryRecord, result: AttemptResult): string {
  const { eventType, atMs, groupId, reason } = record;
  const attempt: StoredAttempt = { eventType, atMs, result, groupId, reason };
  return JSON.stringify(attempt);
}

const decoder = new TextDecoder();

/** Text, whichever way the script's reply was asked for. */
export function replyText(reply: RedisReply | undefined): string {
  if (typeof reply === "string") return reply;
  if (typeof reply === "number") return String(reply);
  assert(reply instanceof Uint8Array, "a reply that should be text is text or bytes");
  return decoder.decode(reply);
}

/** Null when the envelope does not read back. */
export function eventOf(packed: RedisReply | undefined, fanOut: RedisReply | undefined): EventRecord | null {
  assert(packed instanceof Uint8Array, "an envelope comes back as bytes");
  // A plain view: clients hand out subclasses, which compare unequal to what was given.
  const envelope = unpackEnvelope(new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength));
  if (envelope === null) return null;
  const text = replyText(fanOut);
  // Written by `fanOutArguments`.
  return { envelope, fanOut: text === "" ? null : (JSON.parse(text) as FanOut) };
}

/** Columns: event id, endpoint, generation, acceptance, value. */
export function deliveryOf(tenant: string, columns: readonly RedisReply[]): DeliveryView {
  const [, state, attempts, text] = /^(\S+) (\d+) \d+ \S (.*)$/s.exec(replyText(columns[4])) ?? [];
  assert(state !== undefined && text !== undefined, "a delivery is stored as its script wrote it");
  // Written by `deliveryArguments`.
  const stored = JSON.parse(text) as StoredDelivery;
  return { ...keyOf(tenant, columns), state: state as DeliveryState, attempts: Number(attempts), ...stored };
}

/** Columns: event id, endpoint, generation, acceptance, JSON, attempt. */
export function attemptOf(tenant: string, columns: readonly RedisReply[]): AttemptView {
  // Written by `attemptText`.
  const stored = JSON.parse(replyText(columns[4])) as StoredAttempt;
  return { ...keyOf(tenant, columns), attempt: Number(replyText(columns[5])), ...stored };
}

function keyOf(tenant: string, columns: readonly RedisReply[]) {
  const [eventId, endpointId, generation, acceptedAtMs] = columns;
  return {
    tenant,
    eventId: replyText(eventId),
    endpointId: replyText(endpointId),
    generation: Number(replyText(generation)),
    acceptedAtMs: Number(replyText(acceptedAtMs)),
  };
}
