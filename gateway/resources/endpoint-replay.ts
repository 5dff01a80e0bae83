/** `POST /v1/endpoints/:id/replay`: deliveries of one endpoint again, by the time their events were accepted. */
import * as v from "valibot";
import { MISSED_STATES } from "@posthaste/shared/domain/delivery.ts";
import { Instant } from "@posthaste/shared/domain/event.ts";
import type { DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import type { Ramp } from "./replay.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { findEndpoint } from "./find-endpoint.ts";
import { instantText } from "./view-parts.ts";
import {
  createRamp,
  hasTime,
  planReplays,
  REPLAY_MAX,
  REPLAY_PAGE,
  REPLAY_RATE_DEFAULT,
  ReplayRate,
  replayDeadLetters,
} from "./replay.ts";
import { answerJson, bodyJson } from "../request/handle.ts";
import { failed, validate } from "../request/validation.ts";

const Status = v.picklist([...MISSED_STATES, "delivered"], `must be ${MISSED_STATES.join(", ")} or delivered`);

const ReplayWish = v.strictObject({
  since: v.optional(Instant),
  until: v.optional(Instant),
  status: v.optional(Status, "dead"),
  dry_run: v.optional(v.boolean("must be true or false"), false),
  rate_per_s: v.optional(ReplayRate, REPLAY_RATE_DEFAULT),
});
type ReplayWish = v.InferOutput<typeof ReplayWish>;

interface Answer {
  readonly matched: number;
  readonly replayed: number;
  readonly skipped: number;
  /** `until` of the next request, for what remains; null when nothing does. */
  readonly nextUntilMs: number | null;
}

export function endpointReplayRoute(deps: GatewayDeps): Route {
  return {
    method: "POST",
    path: "/v1/endpoints/:id/replay",
    scope: "manage",
    query: ["tenant"],
    body: { bytesMax: MANAGEMENT_BYTES_MAX, isOptional: true, takesCloudEvents: false },
    handle: (admitted) => replay(deps, admitted),
  };
}

async function replay(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const wish = validate(ReplayWish, bodyJson(admitted));
  if (wish.since !== undefined && wish.until !== undefined && wish.until <= wish.since) {
    throw failed([{ pointer: "#/until", detail: "must be later than since" }]);
  }
  const endpoint = await findEndpoint(deps, admitted);
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
  });
}

type Named = { readonly tenant: string; readonly id: string };
type MissedWish = ReplayWish & { readonly status: (typeof MISSED_STATES)[number] };

/** A dead letter is never older than its event, so `since` bounds both. What was replayed is gone, so `until` stays. */
async function replayMissed(deps: GatewayDeps, ramp: Ramp, { tenant, id }: Named, wish: MissedWish): Promise<Answer> {
  const sinceMs = wish.since ?? 0;
  const untilMs = wish.until ?? ramp.startMs + 1;
  const filter = { tenant, endpointId: id, state: wish.status, sinceMs };
  const done = await replayDeadLetters(deps, ramp, {
    filter,
    isMeant: ({ envelope }) => envelope.acceptedAtMs >= sinceMs && envelope.acceptedAtMs < untilMs,
    isDryRun: wish.dry_run,
  });
  return { ...done, nextUntilMs: done.isCut ? untilMs : null };
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
  const untilMs = wish.until ?? ramp.startMs + 1;
  const filter = { tenant, endpointId: id, state: "delivered" as const, untilMs, ...sinceOf(wish) };
  let cursor: string | null = null;
  /** Once a bound is reached: the acceptance time that is still finished, and nothing older. */
  let lastMs: number | null = null;
  do {
    const page = await ledger.deliveries(filter, REPLAY_PAGE, cursor);
    cursor = page.next;
    const rows = page.rows.filter((row) => isNew(row, isSeen));
    const records = await Promise.all(rows.map(({ eventId }) => ledger.event(tenant, eventId)));
    const kept = records.flatMap((record) => (record === null ? [] : [record.envelope]));
    const meant = kept.filter(({ acceptedAtMs }) => lastMs === null || acceptedAtMs === lastMs);
    total.matched += meant.length + records.length - kept.length;
    total.skipped += records.length - kept.length;
    if (!wish.dry_run) {
      await planReplays(
        deps,
        ramp,
        meant.map((envelope) => ({ endpointId: id, envelope })),
      );
      total.replayed += meant.length;
    }
    if (meant.length < kept.length) return { ...total, nextUntilMs: lastMs };
    if (total.matched >= REPLAY_MAX || !hasTime(deps, ramp)) lastMs ??= kept.at(-1)?.acceptedAtMs ?? null;
  } while (cursor !== null);
  return { ...total, nextUntilMs: null };
}

function sinceOf(wish: ReplayWish): { readonly sinceMs?: number } {
  return wish.since === undefined ? {} : { sinceMs: wish.since };
}

function isNew({ eventId }: DeliveryView, isSeen: Set<string>): boolean {
  if (isSeen.has(eventId)) return false;
  isSeen.add(eventId);
  return true;
}
