/** `POST /v1/endpoints/:id/replay`: deliveries of one endpoint again, by the time their events were accepted. */
import * as v from "valibot";
import { MISSED_STATES } from "@posthaste/shared/domain/delivery.ts";
import { Instant } from "@posthaste/shared/domain/event.ts";
import type { DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import type { Counts, Ramp } from "./replay.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { findEndpoint } from "./find-endpoint.ts";
import { instantText } from "./view-parts.ts";
import {
  createRamp,
  DryRun,
  hasTime,
  hasTimeForTies,
  PageCursor,
  planReplays,
  REPLAY_MAX,
  REPLAY_PAGE,
  REPLAY_RATE_DEFAULT,
  ReplayRate,
  replayDeadLetters,
} from "./replay.ts";
import { openCursor, sealCursor } from "../request/cursors.ts";
import { answerJson, bodyJson } from "../request/handle.ts";
import { ofTenant } from "../request/query.ts";
import { failed, validate } from "../request/validation.ts";

const Status = v.picklist([...MISSED_STATES, "delivered"], `must be ${MISSED_STATES.join(", ")} or delivered`);

const ReplayWish = v.strictObject({
  since: v.pipe(v.optional(Instant), v.description("Events that were accepted from this time on.")),
  until: v.pipe(v.optional(Instant), v.description("Events that were accepted before this time.")),
  status: v.pipe(v.optional(Status, "dead"), v.description("What became of the deliveries.")),
  cursor: v.optional(PageCursor),
  dry_run: DryRun,
  rate_per_s: v.optional(ReplayRate, REPLAY_RATE_DEFAULT),
});
type ReplayWish = Omit<v.InferOutput<typeof ReplayWish>, "cursor"> & { readonly cursor: Place | null };

/** Where a request goes on: what it had as `until`, and the page's cursor in the store or nothing. */
interface Place {
  readonly untilMs: number;
  readonly page: string | null;
}

interface Answer extends Counts {
  /** What remains, exactly; null when nothing does. */
  readonly nextCursor: string | null;
  /** `until` of the next request, for what remains; null when nothing does, or when a time alone cannot tell. */
  readonly nextUntilMs: number | null;
}

export function endpointReplayRoute(deps: GatewayDeps): Route {
  return {
    method: "POST",
    path: "/v1/endpoints/:id/replay",
    scope: "manage",
    query: ofTenant,
    body: { schema: ReplayWish, bytesMax: MANAGEMENT_BYTES_MAX, isOptional: true, takesCloudEvents: false },
    handle: (admitted) => replay(deps, admitted),
  };
}

async function replay(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const parsed = validate(ReplayWish, bodyJson(admitted));
  if (parsed.since !== undefined && parsed.until !== undefined && parsed.until <= parsed.since) {
    throw failed([{ pointer: "#/until", detail: "must be later than since" }]);
  }
  const endpoint = await findEndpoint(deps, admitted);
  const subject = { tenant: endpoint.tenant, endpointId: endpoint.id };
  const cursor = parsed.cursor === undefined ? null : placeOf(openCursor(deps, admitted, subject, parsed.cursor));
  const wish = { ...parsed, cursor };
  const ramp = createRamp(deps.clock.now(), wish.rate_per_s, admitted.context);
  const found =
    wish.status === "delivered"
      ? await replayDelivered(deps, ramp, endpoint, wish)
      : await replayMissed(deps, ramp, endpoint, { ...wish, status: wish.status });
  return answerJson(admitted, 200, {
    matched: found.matched,
    replayed: found.replayed,
    skipped: found.skipped,
    dry_run: wish.dry_run,
    next_until: instantText(found.nextUntilMs),
    ...(found.nextCursor === null ? {} : { next_cursor: sealCursor(deps, admitted, subject, found.nextCursor) }),
  });
}

type Named = { readonly tenant: string; readonly id: string };
type MissedWish = ReplayWish & { readonly status: (typeof MISSED_STATES)[number] };

/** The time from which on nothing is replayed: the cursor's, as the request before had it. */
function untilOf({ cursor, until }: ReplayWish, ramp: Ramp): number {
  return cursor?.untilMs ?? until ?? ramp.startMs + 1;
}

function cursorText(untilMs: number, page: string | null): string {
  return `${untilMs}.${page ?? ""}`;
}

function placeOf(text: string): Place {
  const mark = text.indexOf(".");
  return { untilMs: Number(text.slice(0, mark)), page: mark === text.length - 1 ? null : text.slice(mark + 1) };
}

/**
 * A dead letter is never older than its event, so `since` bounds both, and what is left has events older than the dead
 * letters that were looked at. `until` stays as it is only when dead letters are gone; else the cursor alone goes on.
 */
async function replayMissed(deps: GatewayDeps, ramp: Ramp, { tenant, id }: Named, wish: MissedWish): Promise<Answer> {
  const sinceMs = wish.since ?? 0;
  const untilMs = untilOf(wish, ramp);
  const { next, doneFromMs, ...counts } = await replayDeadLetters(deps, ramp, {
    filter: { tenant, endpointId: id, state: wish.status, sinceMs },
    cursor: wish.cursor?.page ?? null,
    isMeant: ({ envelope }) => envelope.acceptedAtMs >= sinceMs && envelope.acceptedAtMs < untilMs,
    isDryRun: wish.dry_run,
  });
  if (next === null) return { ...counts, nextCursor: null, nextUntilMs: null };
  const nextMs = Math.min(untilMs, doneFromMs ?? untilMs);
  const isProgress = nextMs < untilMs || counts.replayed > 0;
  return { ...counts, nextCursor: cursorText(untilMs, next), nextUntilMs: isProgress ? nextMs : null };
}

/**
 * Newest first. A cut falls between two acceptance times, so that the next request neither skips nor repeats. An event
 * whose body is no longer kept is counted as skipped. An event that was delivered several times is replayed once.
 */
async function replayDelivered(
  deps: GatewayDeps,
  ramp: Ramp,
  { tenant, id }: Named,
  wish: ReplayWish,
): Promise<Answer> {
  const { ledger } = deps.drivers;
  const isSeen = new Set<string>();
  const total = { matched: 0, replayed: 0, skipped: 0 };
  const untilMs = untilOf(wish, ramp);
  const filter = { tenant, endpointId: id, state: "delivered" as const, untilMs, ...sinceOf(wish) };
  let cursor = wish.cursor?.page ?? null;
  let seenMs: number | null = null;
  /** Once a bound is reached: the acceptance time that is still finished, and nothing older. */
  let lastMs: number | null = null;
  for (;;) {
    const page = await ledger.deliveries(filter, REPLAY_PAGE, cursor);
    const rows = page.rows.filter(({ acceptedAtMs }) => lastMs === null || acceptedAtMs === lastMs);
    const fresh = rows.filter((row) => isNew(row, isSeen));
    const records = await Promise.all(fresh.map(({ eventId }) => ledger.event(tenant, eventId)));
    const kept = records.flatMap((record) => (record === null ? [] : [record.envelope]));
    total.matched += records.length;
    total.skipped += records.length - kept.length;
    if (!wish.dry_run) {
      await planReplays(
        deps,
        ramp,
        kept.map((envelope) => ({ endpointId: id, envelope })),
      );
      total.replayed += kept.length;
    }
    if (lastMs !== null && rows.length < page.rows.length) {
      return { ...total, nextCursor: cursorText(lastMs, null), nextUntilMs: lastMs };
    }
    cursor = page.next;
    if (cursor === null) return { ...total, nextCursor: null, nextUntilMs: null };
    seenMs = rows.at(-1)?.acceptedAtMs ?? seenMs;
    const isOver = !hasTime(deps, ramp);
    // The time is over within a millisecond, or before anything was found: only the store's own cursor can tell.
    const isStuck = isOver && (seenMs === null || !hasTimeForTies(deps, ramp));
    if (isStuck) return { ...total, nextCursor: cursorText(untilMs, cursor), nextUntilMs: null };
    if (isOver || total.matched >= REPLAY_MAX) lastMs ??= seenMs;
  }
}

function sinceOf(wish: ReplayWish): { readonly sinceMs?: number } {
  return wish.since === undefined ? {} : { sinceMs: wish.since };
}

function isNew({ eventId }: DeliveryView, isSeen: Set<string>): boolean {
  if (isSeen.has(eventId)) return false;
  isSeen.add(eventId);
  return true;
}
