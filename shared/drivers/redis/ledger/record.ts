/** What the ledger's scripts are given and what they give back: entries as arguments, replies as views. */
import * as v from "valibot";
import type { AttemptResult } from "../../../domain/attempt.ts";
import type { DeliveryTimes } from "../../../domain/delivery.ts";
import { DELIVERY_STATES, firstTimes, WAIT_CODES } from "../../../domain/delivery.ts";
import { EVENT_STATES } from "../../../domain/event-state.ts";
import { outcomeOf } from "../../../domain/outcome.ts";
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
  ListedEvent,
} from "../../../ports/ledger.ts";
import { FILTERED_IDS_MAX, MATCHED_IDS_MAX } from "../../../ports/ledger.ts";
import type { RedisArgument, RedisReply } from "../client/redis-commands.ts";

const Ms = v.pipe(v.number(), v.minValue(0));

/**
 * Of a delivery what scripts do not sort or choose by. `times` are those of `DeliveryTimes`, which the script adds up from one
 * record to the next; earlier releases have neither these nor `wait` and `takenAtMs`, and leave them out when they write.
 */
const StoredDelivery = v.object({
  updatedAtMs: v.number(),
  nextAttemptAtMs: v.nullable(v.number()),
  reason: v.nullable(v.string()),
  times: v.fallback(v.nullish(v.strictTuple([Ms, Ms, Ms, Ms])), null),
  takenAtMs: v.fallback(v.nullish(Ms), null),
  wait: v.fallback(v.nullish(v.picklist(WAIT_CODES)), null),
});
type StoredDelivery = v.InferInput<typeof StoredDelivery>;

const StoredAttempt = v.object({
  eventType: v.string(),
  atMs: v.number(),
  result: v.variant("kind", [
    v.looseObject({ kind: v.literal("answered"), status: v.number(), bodyExcerpt: v.string(), durationMs: v.number() }),
    v.looseObject({ kind: v.literal("fault"), fault: v.string(), detail: v.string(), durationMs: v.number() }),
  ]),
  groupId: v.nullable(v.string()),
  reason: v.nullable(v.string()),
});

interface WrittenAttempt {
  readonly eventType: string;
  readonly atMs: number;
  readonly result: AttemptResult;
  readonly groupId: string | null;
  readonly reason: string | null;
}

const StoredFanOut = v.object({
  tenant: v.string(),
  eventId: v.string(),
  atMs: v.number(),
  matched: v.array(v.string()),
  matchedCount: v.number(),
  filtered: v.array(v.string()),
  filteredCount: v.number(),
  isCancelled: v.exactOptional(v.literal(true)),
});

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
    matched: fanOut.matched.slice(0, MATCHED_IDS_MAX),
    filtered: fanOut.filtered.slice(0, FILTERED_IDS_MAX),
  };
  return ["f", fanOut.tenant, fanOut.eventId, fanOut.atMs, fanOut.matchedCount, JSON.stringify(stored)];
}

function deliveryArguments(record: DeliveryRecord): RedisArgument[] {
  const { tenant, eventId, endpointId, generation, state, attempt, atMs, nextAttemptAtMs, reason } = record;
  const { leg } = record;
  const times = leg === undefined ? null : tupleOf(firstTimes(leg));
  const { takenAtMs = null, wait = null } = leg ?? {};
  // In this order: `record.lua` reads the last three.
  const delivery: StoredDelivery = { updatedAtMs: atMs, nextAttemptAtMs, reason, times, takenAtMs, wait };
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

/** In the order of `StoredDelivery`, whole ms. */
function tupleOf({ laneMs, limiterMs, deferredMs, retryMs }: DeliveryTimes): [number, number, number, number] {
  return [Math.round(laneMs), Math.round(limiterMs), Math.round(deferredMs), Math.round(retryMs)];
}

function attemptText(record: DeliveryRecord, result: AttemptResult): string {
  const { eventType, atMs, groupId, reason } = record;
  const attempt: WrittenAttempt = { eventType, atMs, result, groupId, reason };
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
  // Written by `fanOutArguments`; one that does not read is shown as not known.
  const stored = v.safeParse(StoredFanOut, parseJson(replyText(fanOut)));
  return { envelope, fanOut: stored.success ? stored.output : null };
}

/** Columns: envelope, fan-out, state. Null when they do not read back. */
export function listedEventOf([packed, fanOut, stateText]: readonly RedisReply[]): ListedEvent | null {
  const record = eventOf(packed, fanOut);
  const state = EVENT_STATES.find((each) => each === replyText(stateText));
  return record === null || state === undefined ? null : { ...record, state };
}

/** Undefined when the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Columns: event id, endpoint, generation, acceptance, value. Null when they do not read back. */
export function deliveryOf(tenant: string, columns: readonly RedisReply[]): DeliveryView | null {
  const [, state, attempts, text] = /^(\S+) (\d+) \d+ \S (.*)$/s.exec(replyText(columns[4])) ?? [];
  const known = DELIVERY_STATES.find((each) => each === state);
  if (known === undefined || text === undefined || !isTime(columns[3])) return null;
  // Written by `deliveryArguments`.
  const stored = v.safeParse(StoredDelivery, parseJson(text));
  if (!stored.success) return null;
  const { times, wait = null, takenAtMs: _, ...facts } = stored.output;
  const standing = { state: known, attempts: Number(attempts), ...facts, wait, times: timesOf(times ?? null) };
  return { ...keyOf(tenant, columns), ...standing };
}

function timesOf(times: readonly [number, number, number, number] | null): DeliveryTimes | null {
  if (times === null) return null;
  const [laneMs, limiterMs, deferredMs, retryMs] = times;
  return { laneMs, limiterMs, deferredMs, retryMs };
}

/** Columns: event id, endpoint, generation, acceptance, JSON, attempt, standing. Null when they do not read back. */
export function attemptOf(tenant: string, columns: readonly RedisReply[]): AttemptView | null {
  const stored = parseJson(replyText(columns[4]));
  if (!v.is(StoredAttempt, stored) || !isTime(columns[3])) return null;
  const attempt = Number(replyText(columns[5]));
  const [name, attempts] = replyText(columns[6]).split(" ");
  const state = DELIVERY_STATES.find((each) => each === name);
  if (state === undefined) return null;
  // Written by `attemptText`.
  const written = stored as WrittenAttempt;
  const outcome = outcomeOf({ attempt, result: written.result }, { state, attempts: Number(attempts) });
  return { ...keyOf(tenant, columns), attempt, outcome, ...written };
}

function isTime(reply: RedisReply | undefined): boolean {
  return TimeMs.test(replyText(reply));
}

/** Until the year 9999. */
const TimeMs = /^\d{1,15}$/;

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
