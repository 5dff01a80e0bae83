/** The history of one endpoint: its attempts, newest first, and its counts. */
import * as v from "valibot";
import type { EndpointStats } from "@posthaste/shared/ports/stats.ts";
import { RESULT_KINDS } from "@posthaste/shared/domain/attempt.ts";
import { ATTEMPT_OUTCOMES } from "@posthaste/shared/domain/outcome.ts";
import { deliveryId } from "@posthaste/shared/domain/delivery.ts";
import { PublishedId } from "@posthaste/shared/domain/event.ts";
import type { StatsView } from "../answers/endpoints.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { findEndpoint } from "./find-endpoint.ts";
import { attemptView } from "./event-view.ts";
import { instantText, listView } from "./view-parts.ts";
import { readPage } from "../request/cursors.ts";
import { instantOf, ofTenant, paged, parsedOf, within } from "../request/query.ts";
import { answerJson } from "../request/handle.ts";

const OUTCOMES = [...ATTEMPT_OUTCOMES, "failed"] as const;
/** Of attempts, as a query names it. */
export const Outcome = v.picklist(OUTCOMES, `must be one of ${OUTCOMES.join(", ")}`);
const Result = v.picklist(RESULT_KINDS, `must be one of ${RESULT_KINDS.join(", ")}`);

const filters = { ...ofTenant, event_id: PublishedId, outcome: Outcome, result: Result, ...within, ...paged };

export function endpointReadRoutes(deps: GatewayDeps): readonly Route[] {
  const shared = { method: "GET", scope: "read", body: null } as const;
  const one = "/v1/endpoints/:id";
  return [
    { ...shared, path: `${one}/attempts`, query: filters, handle: (admitted) => attempts(deps, admitted) },
    { ...shared, path: `${one}/stats`, query: ofTenant, handle: (admitted) => stats(deps, admitted) },
  ];
}

async function attempts(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { query } = admitted;
  const { tenant, id } = await findEndpoint(deps, admitted);
  const eventId = parsedOf(query, filters, "event_id");
  const outcome = parsedOf(query, filters, "outcome");
  const result = parsedOf(query, filters, "result");
  const sinceMs = instantOf(query, "since");
  const untilMs = instantOf(query, "until");
  const filter = {
    tenant,
    endpointId: id,
    ...(eventId === undefined ? {} : { eventId }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(result === undefined ? {} : { result }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
  const page = await readPage(deps, admitted, { tenant, endpointId: id }, (limit, cursor) =>
    deps.drivers.ledger.attempts(filter, limit, cursor),
  );
  const view = listView(page, (attempt) => ({
    delivery_id: deliveryId(attempt, attempt.acceptedAtMs, deps.hasher),
    event_id: attempt.eventId,
    event_type: attempt.eventType,
    replayed_at: attempt.generation === 0 ? null : instantText(attempt.generation),
    ...attemptView(attempt),
  }));
  return answerJson(admitted, 200, view);
}

async function stats(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { tenant, id } = await findEndpoint(deps, admitted);
  return answerJson(admitted, 200, statsView(await deps.drivers.stats.endpoint(tenant, id)));
}

function seenView(seen: EndpointStats["seen"]): StatsView["last_seen"] {
  if (seen === null) return null;
  return { in_flight: seen.inFlight, in_flight_max: seen.inFlightMax, breaker: seen.breaker };
}

function statsView(counts: EndpointStats): StatsView {
  return {
    attempts: counts.attempts,
    delivered: counts.delivered,
    retried: counts.retried,
    dead: counts.dead,
    duration_ms_mean: counts.durationMsMean === null ? null : Math.round(counts.durationMsMean),
    last_attempt_at: instantText(counts.lastAttemptAtMs),
    last_seen: seenView(counts.seen),
  };
}
