/**
 * `GET /v1/events/:id/why?endpoint=`: each decision that led to an endpoint having an event, or not (yet). Of an event that was
 * replayed, of its latest delivery to the endpoint, or of the one that `delivery` names.
 */
import * as v from "valibot";
import { deliveryId } from "@posthaste/shared/domain/delivery.ts";
import { idPattern, isId } from "@posthaste/shared/domain/id.ts";
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

const DeliveryId = v.pipe(
  v.string(),
  v.metadata({
    pattern: idPattern("dlv"),
    description: "One of the event's deliveries to the endpoint; without it the latest of them is meant.",
  }),
  v.check((text) => isId("dlv", text), "must be a delivery's id"),
);

/** `endpoint` is needed; the handler asks for it when the event is found. */
const named = { ...ofTenant, endpoint: EndpointId, delivery: DeliveryId };

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
  const id = parsedOf(admitted.query, named, "delivery") ?? null;
  const { ledger, directory } = deps.drivers;
  const of = { tenant, eventId, endpointId };
  const [endpoint, deliveries, attempts] = await Promise.all([
    directory.find(tenant, endpointId),
    ledger.deliveries(of, DELIVERIES_MAX, null),
    ledger.attempts(of, ATTEMPTS_MAX, null),
  ]);
  const { fanOut, envelope } = record;
  const idOf = (generation: number): string => deliveryId({ ...of, generation }, envelope.acceptedAtMs, deps.hasher);
  const delivery = chosenOf(deliveries.rows, id, idOf);
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

/** Of the first and its replays the latest, or the one of this id. Null: none has begun, and the first may be meant. */
function chosenOf(
  deliveries: readonly DeliveryView[],
  id: string | null,
  idOf: (generation: number) => string,
): DeliveryView | null {
  if (id === null) return deliveries.toSorted((one, other) => other.generation - one.generation)[0] ?? null;
  const found = deliveries.find(({ generation }) => idOf(generation) === id);
  if (found !== undefined) return found;
  if (deliveries.length === 0 && id === idOf(0)) return null;
  throw new PosthasteError(
    "not-found",
    "There is no such delivery of the event to this endpoint; GET /v1/events/:id lists those that there are.",
  );
}

function unnamed(): PosthasteError {
  const errors = [{ parameter: "endpoint", detail: "must name one endpoint of the event" }];
  return new PosthasteError("invalid-query", { detail: "Name the endpoint: ?endpoint=ep_...", errors });
}
