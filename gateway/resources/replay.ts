/**
 * Replays: new attempts of old deliveries, because a person asked. Each opens a new generation. The order protects from
 * loss: planned durably first, removed from the dead-letter record second. A crash in between delivers twice. They are
 * planned at a rate, so that an endpoint that has just recovered is not overloaded again.
 */
import * as v from "valibot";
import type { DeliveryKey } from "@posthaste/shared/domain/delivery.ts";
import { UNKNOWN_ENDPOINT, deliveryId } from "@posthaste/shared/domain/delivery.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { DeadLetter, DeadLetterFilter } from "@posthaste/shared/ports/dead-letters.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { RequestContext } from "../request/context.ts";
import { requireInTime } from "../request/context.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { CURSOR_LENGTH_MAX } from "../request/query.ts";
import { besideNoRecovery, inDeadLetterTurn } from "./dead-letter-turns.ts";
import { deliveredSinceLetter, endDelivered } from "./delivered-since.ts";
import { recordEnded } from "./ended-deliveries.ts";
import { scheduleOrRefuse } from "./schedule.ts";

/** Most deliveries replayed by one request; it goes past it to finish a millisecond. */
export const REPLAY_MAX = 10_000;
/** Most dead letters that one request looks at, those of deleted endpoints and of another time included. */
const LOOKED_MAX = 200_000;
export const REPLAY_RATE_DEFAULT = 100;
/** What the ledger says of a held delivery that was replayed. */
export const REPLAYED = "replayed by hand, as a delivery of its own";
/** Most bodies in memory. */
export const REPLAY_PAGE = 100;
/** How long one request goes on planning; well within its budget. */
const REPLAY_TIME_MS = 5000;
/** How long it goes on to finish a millisecond. */
const TIES_TIME_MS = 7000;

/** As it was given; `cursors.ts` opens it. */
export const PageCursor = v.pipe(
  v.string("must be next_cursor of the answer before"),
  v.description("`next_cursor` of the answer before, as it was."),
  v.minLength(1, "must be next_cursor of the answer before, as it was"),
  v.maxLength(CURSOR_LENGTH_MAX, "must be next_cursor of the answer before, as it was"),
);

export const DryRun = v.pipe(
  v.optional(v.boolean("must be true or false"), false),
  v.description("Counts, and changes nothing."),
);

export const ReplayRate = v.pipe(
  v.number("must be a whole number of deliveries per second"),
  v.description("Deliveries that begin in a second."),
  v.integer("must be a whole number of deliveries per second"),
  v.minValue(1, "must be at least 1"),
  v.maxValue(1000, "must be at most 1000"),
);

/** The plan of one request: its generation (`startMs`), its rate, and how many are planned. */
export interface Ramp {
  readonly startMs: number;
  readonly ratePerS: number;
  readonly context: RequestContext;
  planned: number;
}

export interface Counts {
  readonly matched: number;
  readonly replayed: number;
  /**
   * Not replayed, as their endpoint was deleted, the event is no longer kept or was delivered since, or what is held was just
   * being brought back.
   */
  readonly skipped: number;
}

export interface Replayed extends Counts {
  /** Where the next request goes on, when a bound of this one was reached before the end. */
  readonly next: string | null;
  /** All dead letters of this time and later were looked at, when `next` is not null; null when none was. */
  readonly doneFromMs: number | null;
}

export function createRamp(nowMs: number, ratePerS: number, context: RequestContext): Ramp {
  return { startMs: Math.floor(nowMs), ratePerS, context, planned: 0 };
}

/** Plans one attempt for each, durably, and records it in the ledger. */
export async function planReplays(
  deps: GatewayDeps,
  ramp: Ramp,
  deliveries: readonly { readonly endpointId: string; readonly envelope: Envelope }[],
): Promise<readonly string[]> {
  if (deliveries.length === 0) return [];
  requireInTime(ramp.context);
  const { startMs, planned, ratePerS } = ramp;
  const notBeforeMsOf = (index: number): number => startMs + Math.floor(((planned + index) * 1000) / ratePerS);
  const items = deliveries.map(({ endpointId, envelope }, index) =>
    scheduledEvent(envelope, {
      cause: "replay",
      notBeforeMs: notBeforeMsOf(index),
      // An event that was never fanned out is fanned out now.
      ...(endpointId === UNKNOWN_ENDPOINT
        ? { endpointId: null, generation: 0 }
        : { endpointId, generation: ramp.startMs }),
      attempt: 1,
    }),
  );
  await scheduleOrRefuse(deps.drivers.retryQueue, items);
  for (const { endpointId, envelope } of deliveries) {
    if (endpointId === UNKNOWN_ENDPOINT) continue;
    const { tenant } = envelope;
    const replay = { tenant, endpointId, generation: startMs, attempt: 1, members: [envelope], group: null };
    deps.telemetry.trace.replayed(ramp.context.trace, replay);
  }
  ramp.planned += items.length;
  const ids = deliveries.map(({ endpointId, envelope }, index) => {
    const key: DeliveryKey = { tenant: envelope.tenant, eventId: envelope.id, endpointId, generation: ramp.startMs };
    return {
      key,
      id: deliveryId(key, envelope.acceptedAtMs, deps.hasher),
      type: envelope.type,
      notBeforeMs: notBeforeMsOf(index),
    };
  });
  const known = ids.filter(({ key }) => key.endpointId !== UNKNOWN_ENDPOINT);
  deps.drivers.ledger.record(
    known.map(({ key, id, type, notBeforeMs }) => ({
      kind: "delivery",
      delivery: {
        ...key,
        deliveryId: id,
        eventType: type,
        atMs: ramp.startMs,
        state: "pending",
        attempt: 0,
        result: null,
        groupId: null,
        nextAttemptAtMs: notBeforeMs,
        reason: "replayed by hand",
      },
    })),
  );
  return ids.map(({ id }) => id);
}

/** In a turn of its own, unless it only counts. */
export function replayDeadLetters(deps: GatewayDeps, ramp: Ramp, wish: ReplayOfLetters): Promise<Replayed> {
  const work = (): Promise<Replayed> => replayLetters(deps, ramp, wish);
  return wish.isDryRun ? work() : inDeadLetterTurn(deps, wish.filter, work);
}

interface ReplayOfLetters {
  readonly filter: DeadLetterFilter & { readonly tenant: string };
  readonly cursor: string | null;
  readonly isMeant: (deadLetter: DeadLetter) => boolean;
  readonly isDryRun: boolean;
}

/**
 * Replays the dead letters of a filter for which `isMeant` is true, newest first, by page. A dry run only counts. What is
 * passed over counts towards no bound of replays, so that it never keeps a request from those behind it.
 */
async function replayLetters(deps: GatewayDeps, ramp: Ramp, wish: ReplayOfLetters): Promise<Replayed> {
  const { deadLetters } = deps.drivers;
  const isAlive = createLivingCheck(deps);
  const total = { matched: 0, replayed: 0, skipped: 0 };
  let cursor = wish.cursor;
  let lookedCount = 0;
  let lastAtMs: number | null = null;
  /** Once a bound is reached: the time that is still finished, and nothing older. */
  let finishedMs: number | null = null;
  for (;;) {
    const page = await deadLetters.list(wish.filter, REPLAY_PAGE, cursor);
    const rows = page.rows.filter(({ atMs }) => finishedMs === null || atMs === finishedMs);
    const meant = rows.filter(wish.isMeant);
    const alive = await Promise.all(meant.map(isAlive));
    const living = meant.filter((_, index) => alive[index] === true);
    const delivered = await Promise.all(living.map((letter) => deliveredSinceLetter(deps, letter)));
    const owed = living.filter((_, index) => delivered[index] === null);
    total.matched += meant.length;
    total.skipped += meant.length - owed.length;
    if (!wish.isDryRun) {
      await endDelivered(
        deps,
        delivered.filter((each) => each !== null),
      );
      const replayed = owed.length === 0 ? 0 : await replayAll(deps, ramp, wish.filter, owed);
      total.replayed += replayed;
      total.skipped += owed.length - replayed;
    }
    // What was older on this page is read again by the next request.
    if (rows.length < page.rows.length) return { ...total, next: cursor, doneFromMs: finishedMs };
    lookedCount += rows.length;
    lastAtMs = rows.at(-1)?.atMs ?? lastAtMs;
    cursor = page.next;
    if (cursor === null) return { ...total, next: null, doneFromMs: null };
    const isOver = lookedCount >= LOOKED_MAX || !hasTime(deps, ramp);
    if (isOver && (wish.isDryRun || total.replayed === 0 || !hasTimeForTies(deps, ramp))) {
      return { ...total, next: cursor, doneFromMs: lastAtMs === null ? null : lastAtMs + 1 };
    }
    if (isOver || total.replayed >= REPLAY_MAX) finishedMs ??= lastAtMs;
  }
}

/** How many of them were replayed. */
async function replayAll(
  deps: GatewayDeps,
  ramp: Ramp,
  filter: DeadLetterFilter,
  letters: readonly DeadLetter[],
): Promise<number> {
  const replay = async (own: readonly DeadLetter[]): Promise<number> => {
    if (own.length === 0) return 0;
    await planReplays(deps, ramp, own);
    await deps.drivers.deadLetters.remove(own);
    recordEnded(deps, own, REPLAYED);
    return own.length;
  };
  // The turn itself is beside no recovery of an endpoint that its filter names.
  return filter.endpointId === undefined ? await besideNoRecovery(deps, letters, replay) : await replay(letters);
}

export function hasTime(deps: Pick<GatewayDeps, "clock">, ramp: Ramp): boolean {
  return deps.clock.now() - ramp.startMs < REPLAY_TIME_MS;
}

export function hasTimeForTies(deps: Pick<GatewayDeps, "clock">, ramp: Ramp): boolean {
  return deps.clock.now() - ramp.startMs < TIES_TIME_MS;
}

/** Whether a dead letter's endpoint still exists; each endpoint is looked up once. */
function createLivingCheck(deps: GatewayDeps): (deadLetter: DeadLetter) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>();
  return (deadLetter) => {
    const { tenant, endpointId } = deadLetter;
    const name = `${tenant}\n${endpointId}`;
    const before = known.get(name);
    if (before !== undefined) return before;
    const found = isReplayable(deps, deadLetter);
    known.set(name, found);
    return found;
  };
}

/** Whether there is somewhere to send it: its endpoint was not deleted, or never known. */
export async function isReplayable(
  { drivers }: Pick<GatewayDeps, "drivers">,
  { tenant, endpointId }: Pick<DeadLetter, "tenant" | "endpointId">,
): Promise<boolean> {
  return endpointId === UNKNOWN_ENDPOINT || (await drivers.directory.find(tenant, endpointId)) !== null;
}
