/**
 * What happens, live, for whoever watches: events as they are accepted, and what becomes of their deliveries. Nothing is
 * kept for later, and nothing is made while nobody watches. What cannot be passed on at once is lost and counted; a
 * publisher never waits, never fails, and never holds more than a bounded number of entries.
 */
import type { AttemptResult } from "../domain/attempt.ts";
import type { DeliveryKey, DeliveryState } from "../domain/delivery.ts";
import type { Envelope } from "../domain/envelope.ts";
import { laneOf } from "../domain/envelope.ts";
import type { Lane } from "../domain/event.ts";
import type { DeliveryRecord } from "./ledger.ts";

export interface AcceptedEntry {
  readonly kind: "accepted";
  readonly atMs: number;
  readonly tenant: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly lane: Lane;
  readonly deliverAtMs: number | null;
  readonly bodyBytes: number;
}

/** An attempt and the state it leaves its delivery in; with `result` null a state that was reached without one. */
export interface DeliveryEntry extends DeliveryKey {
  readonly kind: "delivery";
  readonly atMs: number;
  readonly eventType: string;
  readonly lane: Lane;
  readonly state: DeliveryState;
  /** Attempts made so far. */
  readonly attempt: number;
  readonly result: TailedResult | null;
  readonly groupId: string | null;
  readonly nextAttemptAtMs: number | null;
  readonly reason: string | null;
}

/** One of `status` and `fault` is null. */
export interface TailedResult {
  readonly status: number | null;
  readonly fault: string | null;
  readonly durationMs: number;
}

export type TailEntry = AcceptedEntry | DeliveryEntry;

/** What a watcher is told at once; `lost`: how many entries before these were lost, null when that is not known. */
export interface Heard {
  readonly entries: readonly TailEntry[];
  readonly lost: number | null;
}

export interface Tail {
  /** Does anybody watch the tenant, in any process? Asked for each event, so it costs next to nothing. */
  isWatched(tenant: string): boolean;
  publish(entries: readonly TailEntry[]): void;
  /**
   * Hears of these tenants, null: of all, from a moment later on, in the order of each process; it may hear of others,
   * too. Returns what ends the watch. A listener that throws is reported and goes on hearing.
   */
  watch(tenants: ReadonlySet<string> | null, listener: (heard: Heard) => void): () => void;
}

export function acceptedEntry(envelope: Envelope): AcceptedEntry {
  const { id: eventId, tenant, type: eventType, acceptedAtMs: atMs, deliverAtMs, body } = envelope;
  const lane = laneOf(envelope);
  return { kind: "accepted", atMs, tenant, eventId, eventType, lane, deliverAtMs, bodyBytes: body.length };
}

export function deliveryEntry(record: DeliveryRecord, lane: Lane): DeliveryEntry {
  const { tenant, eventId, endpointId, generation, atMs, eventType, state, attempt, result } = record;
  const { groupId, nextAttemptAtMs, reason } = record;
  const key = { tenant, eventId, endpointId, generation };
  const after = { state, attempt, groupId, nextAttemptAtMs, reason };
  return { kind: "delivery", ...key, atMs, eventType, lane, ...after, result: result && tailedResult(result) };
}

function tailedResult(result: AttemptResult): TailedResult {
  const { durationMs } = result;
  return result.kind === "answered"
    ? { status: result.status, fault: null, durationMs }
    : { status: null, fault: result.fault, durationMs };
}
