/** `GET /v1/events/:id/why?endpoint=`: each decision that led to an endpoint having an event, or not (yet). */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { answerJson } from "../request/handle.ts";
import { EndpointId, ofTenant, parsedOf } from "../request/query.ts";
import { resolveTenant } from "../request/tenancy.ts";
import { waitingView } from "./event-view.ts";
import { noEndpoint } from "./find-endpoint.ts";
import { findEvent, namedEvent } from "./find-event.ts";
import { waitingInLane, waitingOf } from "./waiting.ts";
import { decisionsOf } from "./why.ts";

/** Deliveries of one event to one endpoint that are looked at: one, and one more for each replay. */
const DELIVERIES_MAX = 1000;
/** Attempts of those that are read. */
const ATTEMPTS_MAX = 1000;

/** `endpoint` is needed; the handler asks for it when the event is found. */
const named = { ...ofTenant, endpoint: EndpointId };

export function eventWhyRoute(deps: GatewayDeps): Route {
  return {
    method: "GET",
    path: "/v1/events/:id/why",
    scope: "read",
    query: named,
    body: null,
    handle: (admitted) => why(deps, admitted),
  };
}

async function why(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const tenant = resolveTenant(admitted.caller, null, admitted.query.get("tenant") ?? null);
  const eventId = namedEvent(admitted);
  const record = await findEvent(deps, tenant, eventId);
  const endpointId = parsedOf(admitted.query, named, "endpoint");
  if (endpointId === undefined) throw unnamed();
  const { ledger, directory } = deps.drivers;
  const of = { tenant, eventId, endpointId };
  const [endpoint, deliveries, attempts] = await Promise.all([
    directory.find(tenant, endpointId),
    ledger.deliveries(of, DELIVERIES_MAX, null),
    ledger.attempts(of, ATTEMPTS_MAX, null),
  ]);
  const delivery = latestOf(deliveries.rows);
  const { fanOut, envelope } = record;
  const isNamed = [fanOut?.matched, fanOut?.filtered].some((ids) => ids?.includes(endpointId) === true);
  if (endpoint === null && delivery === null && !isNamed) throw noEndpoint();
  const nowMs = deps.clock.now();
  const ofDelivery = attempts.rows
    .filter(({ generation }) => generation === delivery?.generation)
    .toSorted((one, other) => one.attempt - other.attempt);
  const decisions = decisionsOf({
    record,
    endpointId,
    endpoint,
    delivery,
    deliveries: deliveries.rows,
    attempts: ofDelivery,
    nowMs,
  });
  const isOut = decisions.some(({ on }) => on === "outcome");
  const waiting = delivery === null ? waitingInLane(envelope, nowMs) : waitingOf(delivery);
  const shown = { event_id: eventId, endpoint_id: endpointId, waiting: isOut ? waitingView(waiting) : null };
  return answerJson(admitted, 200, { ...shown, decisions });
}

/** Of the first and its replays. */
function latestOf(deliveries: readonly DeliveryView[]): DeliveryView | null {
  return deliveries.toSorted((one, other) => other.generation - one.generation)[0] ?? null;
}

function unnamed(): PosthasteError {
  const errors = [{ parameter: "endpoint", detail: "must name one endpoint of the event" }];
  return new PosthasteError("invalid-query", { detail: "Name the endpoint: ?endpoint=ep_...", errors });
}
