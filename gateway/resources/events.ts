/** `GET /v1/events` and `GET /v1/events/:id`: accepted events and their deliveries. */
import { EventType } from "@posthaste/shared/domain/event.ts";
import { EVENT_STATES } from "@posthaste/shared/domain/event-state.ts";
import type { DeliveryView, EventFilter } from "@posthaste/shared/ports/ledger.ts";
import * as v from "valibot";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { findEvent, namedEvent } from "./find-event.ts";
import { eventStatus } from "./event-status.ts";
import { dataTextOf, eventStatusView, eventView } from "./event-view.ts";
import { listView, withRawMember } from "./view-parts.ts";
import { readPage } from "../request/cursors.ts";
import { EndpointId, instantOf, ofTenant, ofTenants, paged, parsedOf, within } from "../request/query.ts";
import { answer, answerJson } from "../request/handle.ts";
import { resolveTenant, resolveTenants } from "../request/tenancy.ts";

/** Rows read at once. */
const ROWS_MAX = 1000;
/** Most deliveries read for one event, over all endpoints and replays. */
const DELIVERIES_MAX = 5 * ROWS_MAX;

const State = v.picklist(EVENT_STATES, `must be one of ${EVENT_STATES.join(", ")}`);
const INCLUDED = ["data", "filtered"] as const;
/** A list with commas, as query parameters are given once. */
const Include = v.pipe(
  v.string("must be a string"),
  v.metadata({ enum: ["data", "filtered", "data,filtered"], description: "What is shown beside the facts." }),
  v.transform((text) => text.split(",")),
  v.array(v.picklist(INCLUDED, "must be data, filtered, or both with a comma between")),
);

const filters = { type: EventType, state: State, endpoint_id: EndpointId, ...within, ...paged, ...ofTenants };
const parts = { ...ofTenant, include: Include };

export function eventReadRoutes(deps: GatewayDeps): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/events",
      scope: "read",
      query: filters,
      body: null,
      handle: (admitted) => list(deps, admitted),
    },
    {
      method: "GET",
      path: "/v1/events/:id",
      scope: "read",
      query: parts,
      body: null,
      handle: (admitted) => show(deps, admitted),
    },
  ];
}

async function list(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { query } = admitted;
  const endpointId = parsedOf(query, filters, "endpoint_id");
  const type = parsedOf(query, filters, "type");
  const state = parsedOf(query, filters, "state");
  const sinceMs = instantOf(query, "since");
  const untilMs = instantOf(query, "until");
  const filter = {
    ...listedBy(admitted, endpointId),
    ...(type === undefined ? {} : { type }),
    ...(state === undefined ? {} : { state }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
  const page = await readPage(deps, admitted, { tenant: filter.tenant }, (limit, cursor) =>
    deps.drivers.ledger.events(filter, limit, cursor),
  );
  return answerJson(
    admitted,
    200,
    listView(page, (event) => ({ ...eventView(event.envelope), state: event.state })),
  );
}

/** An endpoint is one tenant's, so that its events are asked for with that tenant. */
function listedBy({ caller, query }: AdmittedRequest, endpointId: string | undefined): EventFilter {
  const named = query.get("tenant") ?? null;
  return endpointId === undefined
    ? { tenant: resolveTenants(caller, named) }
    : { tenant: resolveTenant(caller, null, named), endpointId };
}

async function show(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const tenant = resolveTenant(admitted.caller, null, admitted.query.get("tenant") ?? null);
  const include = parsedOf(admitted.query, parts, "include") ?? [];
  const record = await findEvent(deps, tenant, namedEvent(admitted));
  const { ledger, directory } = deps.drivers;
  const { id } = record.envelope;
  const [deliveries, attempts, { endpoints }] = await Promise.all([
    deliveriesOf(deps, tenant, id),
    ledger.attempts({ tenant, eventId: id }, ROWS_MAX, null),
    directory.endpoints(tenant, 0),
  ]);
  const status = eventStatus({
    record,
    deliveries,
    attempts: attempts.rows,
    endpoints,
    nowMs: deps.clock.now(),
    hasher: deps.hasher,
  });
  const byId = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
  const view = eventStatusView(record.envelope, status, { endpoints: byId, hasFiltered: include.includes("filtered") });
  if (!include.includes("data")) return answerJson(admitted, 200, view);
  const text = withRawMember(view, "data", dataTextOf(record.envelope));
  return answer(admitted, 200, text, { "cache-control": "no-store" });
}

async function deliveriesOf(deps: GatewayDeps, tenant: string, eventId: string): Promise<readonly DeliveryView[]> {
  const found: DeliveryView[] = [];
  let cursor: string | null = null;
  do {
    const page = await deps.drivers.ledger.deliveries({ tenant, eventId }, ROWS_MAX, cursor);
    found.push(...page.rows);
    cursor = page.next;
  } while (cursor !== null && found.length < DELIVERIES_MAX);
  return found;
}
