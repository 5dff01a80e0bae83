/** `/v1/dead-letters`, deliveries that need a person: list, show, replay one or by filter, delete. */
import * as v from "valibot";
import type { MissedState } from "@posthaste/shared/domain/delivery.ts";
import { MISSED_STATES } from "@posthaste/shared/domain/delivery.ts";
import { EventType, Instant, PublishedId, TenantName } from "@posthaste/shared/domain/event.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { isId } from "@posthaste/shared/domain/id.ts";
import type { DeadLetter, DeadLetterFilter, DeliveredSince } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeadLetterView } from "../answers/dead-letters.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { BodyRule, AdmittedRequest, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { requireInTime } from "../request/context.ts";
import { dataTextOf, eventView, shownEndpointId } from "./event-view.ts";
import { deliveredSinceLetter, endDelivered } from "./delivered-since.ts";
import { recordEnded } from "./ended-deliveries.ts";
import { instantText, listView, withRawMember } from "./view-parts.ts";
import { inDeadLetterTurn } from "./dead-letter-turns.ts";
import { openCursor, readPage, sealCursor } from "../request/cursors.ts";
import { EndpointId, instantOf, ofTenant, ofTenants, paged, parsedOf, within } from "../request/query.ts";
import {
  createRamp,
  DryRun,
  isReplayable,
  PageCursor,
  planReplays,
  REPLAY_RATE_DEFAULT,
  REPLAYED,
  ReplayRate,
  replayDeadLetters,
} from "./replay.ts";
import { answer, answerEmpty, answerJson, bodyJson } from "../request/handle.ts";
import { resolveTenant, resolveTenants, tenantScope } from "../request/tenancy.ts";
import { validate } from "../request/validation.ts";

const State = v.picklist(MISSED_STATES, `must be one of ${MISSED_STATES.join(", ")}`);

const ReplayWish = v.strictObject({
  tenant: v.optional(TenantName),
  endpoint_id: v.optional(EndpointId),
  event_id: v.optional(PublishedId),
  type: v.optional(EventType),
  state: v.optional(State),
  since: v.pipe(v.optional(Instant), v.description("Dead letters from this time on.")),
  until: v.pipe(v.optional(Instant), v.description("Dead letters before this time.")),
  cursor: v.optional(PageCursor),
  dry_run: DryRun,
  rate_per_s: v.optional(ReplayRate, REPLAY_RATE_DEFAULT),
});
const Nothing = v.strictObject({});

const ALL = "/v1/dead-letters";
const filters = {
  endpoint_id: EndpointId,
  event_id: PublishedId,
  type: EventType,
  state: State,
  ...within,
  ...ofTenants,
  ...paged,
};
const rules = { bytesMax: MANAGEMENT_BYTES_MAX, takesCloudEvents: false };
const needed: BodyRule = { ...rules, schema: ReplayWish, isOptional: false };
const optional: BodyRule = { ...rules, schema: Nothing, isOptional: true };

export function deadLetterRoutes(deps: GatewayDeps): readonly Route[] {
  const one = { path: `${ALL}/:id`, query: ofTenants, body: null };
  const post = { method: "POST", scope: "manage" } as const;
  return [
    { method: "GET", path: ALL, scope: "read", query: filters, body: null, handle: (admitted) => list(deps, admitted) },
    {
      ...post,
      path: `${ALL}/replay`,
      query: ofTenant,
      body: needed,
      handle: (admitted) => replayByFilter(deps, admitted),
    },
    { ...one, method: "GET", scope: "read", handle: (admitted) => show(deps, admitted) },
    { ...one, method: "DELETE", scope: "manage", handle: (admitted) => remove(deps, admitted) },
    {
      ...post,
      path: `${ALL}/:id/replay`,
      query: ofTenants,
      body: optional,
      handle: (admitted) => replayOne(deps, admitted),
    },
  ];
}

async function list(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { query } = admitted;
  const tenant = resolveTenants(admitted.caller, query.get("tenant") ?? null);
  const filter = filterOf(tenant, {
    endpoint_id: parsedOf(query, filters, "endpoint_id"),
    event_id: parsedOf(query, filters, "event_id"),
    type: parsedOf(query, filters, "type"),
    state: parsedOf(query, filters, "state"),
    since: instantOf(query, "since"),
    until: instantOf(query, "until"),
  });
  const page = await readPage(deps, admitted, { tenant }, (limit, cursor) =>
    deps.drivers.deadLetters.list(filter, limit, cursor),
  );
  return answerJson(admitted, 200, listView(page, deadLetterView));
}

async function show(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const deadLetter = await findDeadLetter(deps, admitted);
  const text = withRawMember(deadLetterView(deadLetter), "data", dataTextOf(deadLetter.envelope));
  return answer(admitted, 200, text, { "cache-control": "no-store" });
}

async function remove(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  await withDeadLetter(deps, admitted, async (deadLetter) => {
    await deps.drivers.deadLetters.remove([deadLetter]);
    recordEnded(deps, [deadLetter], "its dead letter was deleted");
  });
  return answerEmpty(admitted);
}

async function replayOne(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  validate(Nothing, bodyJson(admitted));
  return withDeadLetter(deps, admitted, (deadLetter) => replayLetter(deps, admitted, deadLetter));
}

async function replayLetter(deps: GatewayDeps, admitted: AdmittedRequest, deadLetter: DeadLetter): Promise<Response> {
  if (!(await isReplayable(deps, deadLetter))) {
    throw new PosthasteError("conflict", "The endpoint of this dead letter was deleted; there is nowhere to send it.");
  }
  const since = await deliveredSinceLetter(deps, deadLetter);
  if (since !== null) {
    await endDelivered(deps, [since]);
    throw deliveredAlready(since, deadLetter);
  }
  const ramp = createRamp(deps.clock.now(), REPLAY_RATE_DEFAULT, admitted.context);
  const [deliveryId] = await planReplays(deps, ramp, [deadLetter]);
  await deps.drivers.deadLetters.remove([deadLetter]);
  recordEnded(deps, [deadLetter], REPLAYED);
  const { eventId, endpointId } = deadLetter;
  return answerJson(admitted, 202, {
    delivery_id: deliveryId,
    event_id: eventId,
    endpoint_id: shownEndpointId(endpointId),
  });
}

function deliveredAlready({ atMs }: DeliveredSince, { eventId, endpointId }: DeadLetter): PosthasteError {
  const detail = `The event was delivered to the endpoint at ${instantText(atMs)}, so this dead letter is no more. To send it once more: POST /v1/events/${eventId}/resend with endpoint_id ${endpointId}.`;
  return new PosthasteError("conflict", detail);
}

async function replayByFilter(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const wish = validate(ReplayWish, bodyJson(admitted));
  const tenant = resolveTenant(admitted.caller, wish.tenant ?? null, admitted.query.get("tenant") ?? null);
  const ramp = createRamp(deps.clock.now(), wish.rate_per_s, admitted.context);
  const done = await replayDeadLetters(deps, ramp, {
    filter: { ...filterOf(tenant, wish), tenant },
    cursor: wish.cursor === undefined ? null : openCursor(deps, admitted, { tenant }, wish.cursor),
    isMeant: () => true,
    isDryRun: wish.dry_run,
  });
  const { matched, replayed, skipped, next } = done;
  const counts = { matched, replayed, skipped, dry_run: wish.dry_run, has_more: next !== null };
  const more = next === null ? {} : { next_cursor: sealCursor(deps, admitted, { tenant }, next) };
  return answerJson(admitted, 200, { ...counts, ...more });
}

interface Wish {
  readonly endpoint_id?: string | undefined;
  readonly event_id?: string | undefined;
  readonly type?: string | undefined;
  readonly state?: MissedState | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

function filterOf(tenant: string | null, wish: Wish): DeadLetterFilter {
  return {
    tenant,
    ...(wish.endpoint_id === undefined ? {} : { endpointId: wish.endpoint_id }),
    ...(wish.event_id === undefined ? {} : { eventId: wish.event_id }),
    ...(wish.type === undefined ? {} : { eventType: wish.type }),
    ...(wish.state === undefined ? {} : { state: wish.state }),
    ...(wish.since === undefined ? {} : { sinceMs: wish.since }),
    ...(wish.until === undefined ? {} : { untilMs: wish.until }),
  };
}

/** In a turn of its own, in which nobody else takes it away. */
async function withDeadLetter<Result>(
  deps: GatewayDeps,
  admitted: AdmittedRequest,
  work: (deadLetter: DeadLetter) => Promise<Result>,
): Promise<Result> {
  return inDeadLetterTurn(deps, await findDeadLetter(deps, admitted), async () =>
    work(await findDeadLetter(deps, admitted)),
  );
}

/** Another tenant's dead letter is answered as one that does not exist. */
async function findDeadLetter(deps: GatewayDeps, admitted: AdmittedRequest): Promise<DeadLetter> {
  const tenant = tenantScope(admitted.caller, admitted.query.get("tenant") ?? null);
  const id = admitted.param("id");
  const deadLetter = isId("dlv", id) ? await deps.drivers.deadLetters.find(id) : null;
  if (deadLetter !== null && (tenant === null || deadLetter.tenant === tenant)) {
    requireInTime(admitted.context);
    return deadLetter;
  }
  throw new PosthasteError(
    "not-found",
    "There is no dead letter of this id; it may have been replayed or deleted, or its event delivered since.",
  );
}

function deadLetterView(deadLetter: DeadLetter): DeadLetterView {
  return {
    id: deadLetter.id,
    tenant: deadLetter.tenant,
    event_id: deadLetter.eventId,
    event_type: deadLetter.envelope.type,
    endpoint_id: shownEndpointId(deadLetter.endpointId),
    state: deadLetter.state,
    reason: deadLetter.reason,
    attempt_count: deadLetter.attempts,
    at: instantText(deadLetter.atMs),
    event: eventView(deadLetter.envelope),
  };
}
