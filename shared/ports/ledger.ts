/**
 * What became of each event: events, deliveries, attempts. A projection of the queues for people and for dedupe, not
 * the truth itself: `record` may lose entries under overload (counted by the driver), never hold anything up.
 * Reads see what was recorded before, and an event as soon as its lane append resolved. Delivered events are kept
 * 24 h, others until their last delivery ends and 24 h more, as far as the bounds of the driver allow; dead letters keep
 * their own copy.
 */
import type { AttemptResult, ResultKind } from "../domain/attempt.ts";
import type { DeliveryKey, DeliveryState, DeliveryTimes, Leg, WaitCode } from "../domain/delivery.ts";
import type { Envelope } from "../domain/envelope.ts";
import type { EventState } from "../domain/event-state.ts";
import type { AttemptOutcome } from "../domain/outcome.ts";
import type { EndedDeadLetter, Page } from "./dead-letters.ts";

/** Left out when one endpoint matched and none was filtered: then the delivery's own record says as much. */
export interface FanOut {
  readonly tenant: string;
  readonly eventId: string;
  readonly atMs: number;
  /** At most `MATCHED_IDS_MAX`; the count is whole. */
  readonly matched: readonly string[];
  readonly matchedCount: number;
  /** At most `FILTERED_IDS_MAX`; the count is whole. */
  readonly filtered: readonly string[];
  readonly filteredCount: number;
  /** It was cancelled before its `deliver_at`: nobody gets it. */
  readonly isCancelled?: true;
}

/** What stands in place of the fan-out of an event that was cancelled. */
export function cancelledFanOut({ tenant, id }: Pick<Envelope, "tenant" | "id">, atMs: number): FanOut {
  const nobody = { matched: [], matchedCount: 0, filtered: [], filteredCount: 0 };
  return { tenant, eventId: id, atMs, ...nobody, isCancelled: true };
}

/** Of these each has a delivery, and what has not begun is shown by them. */
export const MATCHED_IDS_MAX = 100;
/**
 * Of these nothing more comes, and whoever is not named is known by not being among `matched`. A tenant with many endpoints
 * writes them with each event: 32 bytes each.
 */
export const FILTERED_IDS_MAX = 20;

/** A completed attempt and the state it leaves its delivery in; or, with `result` null, a state change alone. */
export interface DeliveryRecord extends DeliveryKey {
  readonly eventType: string;
  readonly atMs: number;
  readonly state: DeliveryState;
  /** Attempts completed in this generation, this one included. */
  readonly attempt: number;
  readonly result: AttemptResult | null;
  /** The group's `webhook-id` when it went out in a batch. */
  readonly groupId: string | null;
  /** Planned time of the next attempt; null when there is none. */
  readonly nextAttemptAtMs: number | null;
  /** Why it is not delivered; null when it is. */
  readonly reason: string | null;
  /** Left out by what did no work on the delivery; then its times stay as they are. */
  readonly leg?: Leg;
}

/**
 * The first word of a replay, which names its generation by its time. Whatever stands in that generation came after it, and
 * stays, however late this word comes: a processor may overtake the gateway that planned the replay.
 */
export function isReplayBeginning({ state, attempt, atMs, generation }: DeliveryRecord): boolean {
  return state === "pending" && attempt === 0 && generation > 0 && atMs === generation;
}

/**
 * Of what is recorded of one event and one endpoint: the success that came after this generation began, which is not owed any
 * more. A delivery that was asked for after a success is. Null when there is none.
 */
export function deliveredSince(deliveries: readonly DeliveryView[], generation: number): DeliveryView | null {
  const since = deliveries.filter((view) => view.state === "delivered" && successAtMs(view) >= generation);
  return since.toSorted((one, other) => successAtMs(other) - successAtMs(one))[0] ?? null;
}

/** Of a delivered one. A gateway whose clock is ahead names its replay by a time that is still to come. */
export function successAtMs({ updatedAtMs, generation }: Pick<DeliveryView, "updatedAtMs" | "generation">): number {
  return Math.max(updatedAtMs, generation);
}

export type LedgerEntry =
  | { readonly kind: "fan-out"; readonly fanOut: FanOut; readonly envelope?: RecordedEvent }
  | { readonly kind: "delivery"; readonly delivery: DeliveryRecord; readonly envelope?: RecordedEvent };

/**
 * The event itself, where whoever records has it at hand: a ledger that was away when it was accepted, or lost it since,
 * makes it known by this.
 */
type RecordedEvent = Envelope;

/** A delivery that nothing goes on with any more: the dead letter that held it was taken out, or its endpoint was deleted. */
export function endedEntry(
  { tenant, eventId, endpointId, generation, eventType, attempts }: Omit<EndedDeadLetter, "id" | "state">,
  atMs: number,
  reason: string,
): LedgerEntry {
  const key = { tenant, eventId, endpointId, generation };
  const nothing = { result: null, groupId: null, nextAttemptAtMs: null };
  return {
    kind: "delivery",
    delivery: { ...key, eventType, atMs, state: "dead", attempt: attempts, ...nothing, reason },
  };
}

export interface EventRecord {
  readonly envelope: Envelope;
  /** Null until fan-out was recorded, or for good when it is left out; then the first delivery shows that it happened. */
  readonly fanOut: FanOut | null;
}

export interface ListedEvent extends EventRecord {
  readonly state: EventState;
}

export interface DeliveryView extends DeliveryKey {
  /** The event's. */
  readonly acceptedAtMs: number;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly updatedAtMs: number;
  readonly nextAttemptAtMs: number | null;
  readonly reason: string | null;
  /** What it waits for since `updatedAtMs`; null when that is nothing that is planned, or its state says it. */
  readonly wait: WaitCode | null;
  /** Up to `updatedAtMs`. Null when an earlier release recorded any of it. */
  readonly times: DeliveryTimes | null;
}

export interface AttemptView extends DeliveryKey {
  /** The event's. */
  readonly acceptedAtMs: number;
  readonly eventType: string;
  readonly attempt: number;
  readonly atMs: number;
  readonly result: AttemptResult;
  /** As the delivery stands now: of its failed attempts only the last can have been the end. */
  readonly outcome: AttemptOutcome;
  readonly groupId: string | null;
  readonly reason: string | null;
}

export type EventFilter = EventBounds & (OfTenants | OfOneEndpoint);

interface OfTenants {
  /** Null: all tenants (operator). */
  readonly tenant: string | null;
}

/** Events of which a delivery to the endpoint was recorded, each once. */
interface OfOneEndpoint {
  readonly tenant: string;
  readonly endpointId: string;
}

interface EventBounds {
  readonly type?: string;
  readonly state?: EventState;
  /** By acceptance; until is exclusive. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** Deliveries of one endpoint, of one event, or of both: no order is kept of all that a tenant has. */
export type DeliveryFilter = DeliveryBounds & (OfEndpoint | OfEvent);

interface OfEndpoint {
  readonly endpointId: string;
  readonly eventId?: string;
}

interface OfEvent {
  readonly eventId: string;
  readonly endpointId?: string;
}

interface DeliveryBounds {
  readonly tenant: string;
  readonly state?: DeliveryState;
  /** By the event's acceptance time; until is exclusive. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface AskedDelivery extends DeliveryKey {
  /** The event's. */
  readonly acceptedAtMs: number;
}

/** `failed`: retry or dead. */
export type OutcomeFilter = AttemptOutcome | "failed";

export type AttemptFilter = DeliveryFilter & { readonly outcome?: OutcomeFilter; readonly result?: ResultKind };

export interface Ledger {
  /** Queues entries; returns at once. Entries of one call become visible together and in order. */
  record(entries: readonly LedgerEntry[]): void;
  /**
   * Resolves when an ack may follow what was recorded before this call: a crash then cannot leave the ack without it. At
   * once where both are written in order, else when it is visible, and after two seconds at the latest. Never rejects.
   */
  recorded(): Promise<void>;
  /**
   * Was attempt `attempt` of this delivery completed and recorded? The dedupe question, asked for repeats only.
   * Attempt 0 asks whether anything at all was recorded of the delivery. What is recorded of an event of the same id that
   * was accepted at another time says nothing: an id whose append failed may be used again, and its copy may have been met.
   */
  isCompleted(delivery: AskedDelivery, attempt: number): Promise<boolean>;
  event(tenant: string, eventId: string): Promise<EventRecord | null>;
  /** Newest first by acceptance, each in the state that `eventStanding` gives it. */
  events(filter: EventFilter, limit: number, cursor: string | null): Promise<Page<ListedEvent>>;
  /** Newest first by the event's acceptance time. */
  deliveries(filter: DeliveryFilter, limit: number, cursor: string | null): Promise<Page<DeliveryView>>;
  /** Newest first. */
  attempts(filter: AttemptFilter, limit: number, cursor: string | null): Promise<Page<AttemptView>>;
}
