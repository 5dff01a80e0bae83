/** What the world outside knows: publishers of what they asked for and were told, owners of their endpoints. */
import type { EventPlan, OwnerOp, SlotPlan } from "./scenario.ts";
import type { Receiver } from "./receivers.ts";

export interface Acceptance {
  readonly id: string;
  /** When the request left, and when its 202 came. */
  readonly issuedAtMs: number;
  readonly atMs: number;
}

export interface Published extends EventPlan {
  readonly tenant: string;
  readonly dataText: string;
  readonly deliverAtMs: number | null;
  /** The id the publisher chose. */
  readonly ownId: string | null;
  /** By key or id: however often it was asked for, it is one event. */
  readonly isOnce: boolean;
  /** First request. */
  readonly issuedAtMs: number;
  readonly acceptances: Acceptance[];
}

export interface Done {
  readonly op: OwnerOp;
  readonly issuedAtMs: number;
  /** Null until an answer said that it was done. */
  ackedAtMs: number | null;
}

export interface Slot extends SlotPlan {
  readonly index: number;
  readonly url: string;
  readonly receiver: Receiver;
  /** As the owner was told. */
  id: string | null;
  /** As it is stored, also when the owner was never told. */
  storedId: string | null;
  /** When the 201 came; null while it has not. */
  createdAtMs: number | null;
  /** All that were ever handed to the owner, newest last. */
  readonly secrets: string[];
  /** A rotation whose answer was lost, or a creation: there are secrets that the owner does not know. */
  hasUnknownSecret: boolean;
  /** Redis was emptied, and no process that lives surely remembers the endpoint as it was. */
  mayBeLost: boolean;
  readonly done: Done[];
  /** When a living sender last heard 410 from there. */
  goneAtMs: number | null;
}

export interface Replay {
  readonly deliveryId: string;
  readonly eventId: string;
  readonly endpointId: string;
  readonly issuedAtMs: number;
}

/** An event with `deliver_at` was asked to be cancelled; null while no answer came, and then it is not known. */
export interface Cancel {
  readonly tenant: string;
  readonly eventId: string;
  answer: "cancelled" | "refused" | null;
}

export interface Model {
  readonly published: Published[];
  readonly slots: Slot[];
  readonly replays: Replay[];
  readonly cancels: Cancel[];
  /** A store that lost everything since no longer knows that it took the event, nor its key, id or cancellation. */
  readonly isForgotten: (published: Pick<Published, "issuedAtMs">) => boolean;
}

export function slotOf(model: Model, url: string): Slot | null {
  return model.slots.find((slot) => slot.url === url) ?? null;
}

/** Was the endpoint told to do `op`, whether it was heard or not? */
export function wasAsked(slot: Slot, op: OwnerOp): boolean {
  return slot.done.some((done) => done.op === op);
}

/** Certainly deleted, or certainly paused, at `atMs`: the answer had come, and nothing after asked otherwise. */
export function knownStateAt(slot: Slot, atMs: number): "deleted" | "paused" | "open" {
  const issued = slot.done.filter(({ issuedAtMs }) => issuedAtMs <= atMs);
  if (issued.some(({ op, ackedAtMs }) => op === "delete" && ackedAtMs !== null && ackedAtMs <= atMs)) return "deleted";
  // To enable one that we disabled ends a pause from before that as well.
  const last = issued.findLast(({ op }) => op === "pause" || op === "resume" || op === "enable");
  const isSure = last !== undefined && last.op === "pause" && last.ackedAtMs !== null && last.ackedAtMs <= atMs;
  if (isSure) return "paused";
  return last === undefined && slot.isPausedAtFirst ? "paused" : "open";
}

export function cancelOf(model: Model, tenant: string, eventId: string): Cancel | null {
  return model.cancels.find((cancel) => cancel.tenant === tenant && cancel.eventId === eventId) ?? null;
}

/** The ids one wish of the publisher became; more than one only when it was repeated without a key or an id. */
export function idsOf(published: Published): readonly string[] {
  return [...new Set(published.acceptances.map(({ id }) => id))];
}

/** The owner may have opened it again at or after that time. */
export function mayHaveReopened(slot: Slot, sinceMs: number): boolean {
  return slot.done.some(
    ({ op, ackedAtMs }) => (op === "enable" || op === "resume") && (ackedAtMs === null || ackedAtMs >= sinceMs),
  );
}
