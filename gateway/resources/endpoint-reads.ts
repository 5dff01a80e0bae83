/** What became of one endpoint's deliveries: its attempts, newest first, and its counts. */
import { deliveryId } from "@posthaste/shared/domain/delivery.ts";
import { PublishedId } from "@posthaste/shared/domain/event.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Call, Route } from "../request/handle.ts";
import { findEndpoint } from "./find-endpoint.ts";
import { endpointStatsView } from "./present-endpoint.ts";
import { attemptView } from "./present-event.ts";
import { instantText, listView } from "./present.ts";
import { cursorOf, instantOf, limitOf, parsedOf } from "../request/query.ts";
import { answerJson } from "../request/handle.ts";

export function endpointReadRoutes(deps: GatewayDeps): readonly Route[] {
  const shared = { method: "GET", scope: "read", body: null } as const;
  const filters = ["tenant", "event_id", "since", "until", "limit", "cursor"];
  const one = "/v1/endpoints/:id";
  return [
    { ...shared, path: `${one}/attempts`, query: filters, handle: (call) => attempts(deps, call) },
    { ...shared, path: `${one}/stats`, query: ["tenant"], handle: (call) => stats(deps, call) },
  ];
}

async function attempts(deps: GatewayDeps, call: Call): Promise<Response> {
  const { query } = call;
  const { tenant, id } = await findEndpoint(deps, call);
  const eventId = parsedOf(query, "event_id", PublishedId);
  const sinceMs = instantOf(query, "since");
  const untilMs = instantOf(query, "until");
  const filter = {
    tenant,
    endpointId: id,
    ...(eventId === undefined ? {} : { eventId }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
  const page = await deps.drivers.ledger.attempts(filter, limitOf(query), cursorOf(query));
  const view = listView(page, (attempt) => ({
    delivery_id: deliveryId(attempt, attempt.acceptedAtMs, deps.hasher),
    event_id: attempt.eventId,
    event_type: attempt.eventType,
    replayed_at: attempt.generation === 0 ? null : instantText(attempt.generation),
    ...attemptView(attempt),
  }));
  return answerJson(call, 200, view);
}

async function stats(deps: GatewayDeps, call: Call): Promise<Response> {
  const { tenant, id } = await findEndpoint(deps, call);
  return answerJson(call, 200, endpointStatsView(await deps.drivers.stats.endpoint(tenant, id)));
}
