/** `GET /v1/events` and `GET /v1/events/:id`: accepted events and their deliveries. */
import { isEventId } from "@posthaste/shared/domain/id.ts";
import { EventType } from "@posthaste/shared/domain/event.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { DeliveryView, EventRecord } from "@posthaste/shared/ports/ledger.ts";
import * as v from "valibot";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { eventStatus } from "./event-status.ts";
import { dataTextOf, eventStatusView, eventView } from "./event-view.ts";
import { listView, withRawMember } from "./view-parts.ts";
import { cursorOf, instantOf, limitOf, parsedOf } from "../request/query.ts";
import { answer, answerJson } from "../request/handle.ts";
import { resolveTenant, resolveTenants } from "../request/tenancy.ts";

/** Rows read at once. */
const ROWS_MAX = 1000;
/** Most deliveries read for one event, over all endpoints and replays. */
const DELIVERIES_MAX = 5 * ROWS_MAX;

const Include = v.picklist(["data"], "must be data");

export function eventReadRoutes(deps: GatewayDeps): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/events",
      scope: "read",
      query: ["type", "since", "until", "limit", "cursor", "tenant"],
      body: null,
      handle: (admitted) => list(deps, admitted),
    },
    {
      method: "GET",
      path: "/v1/events/:id",
      scope: "read",
      query: ["tenant", "include"],
      body: null,
      handle: (admitted) => show(deps, admitted),
    },
  ];
}

async function list(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { query } = admitted;
  const tenant = resolveTenants(admitted.caller, query.get("tenant") ?? null);
  const type = parsedOf(query, "type", EventType);
  const sinceMs = instantOf(query, "since");
  const untilMs = instantOf(query, "until");
  const filter = {
    tenant,
    ...(type === undefined ? {} : { type }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
  const page = await deps.drivers.ledger.events(filter, limitOf(query), cursorOf(query));
  return answerJson(
    admitted,
    200,
    listView(page, ({ envelope }) => eventView(envelope)),
  );
}

async function show(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const tenant = resolveTenant(admitted.caller, null, admitted.query.get("tenant") ?? null);
  const include = parsedOf(admitted.query, "include", Include);
  const record = await findEvent(deps, tenant, admitted.param("id"));
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
  const view = eventStatusView(record.envelope, status, byId);
  if (include === undefined) return answerJson(admitted, 200, view);
  const text = withRawMember(view, "data", dataTextOf(record.envelope));
  return answer(admitted, 200, text, { "cache-control": "no-store" });
}

async function findEvent(deps: GatewayDeps, tenant: string, id: string): Promise<EventRecord> {
  const record = isEventId(id) ? await deps.drivers.ledger.event(tenant, id) : null;
  if (record !== null) return record;
  throw new PosthasteError("not-found", "The tenant has no event of this id, or it is no longer kept.");
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
