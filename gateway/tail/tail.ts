/** `GET /v1/tail`: events as they are accepted and attempts as they are made, live, as server-sent events. */
import * as v from "valibot";
import { Subscription } from "@posthaste/shared/domain/endpoint.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { EndpointId, ofTenants, parsedOf } from "../request/query.ts";
import { resolveTenants } from "../request/tenancy.ts";
import { Outcome } from "../resources/endpoint-reads.ts";
import type { TailFilter } from "./filter.ts";
import type { TailReadersDeps } from "./readers.ts";
import { TailReaders } from "./readers.ts";

const TailedLane = v.picklist(LANES, `must be one of ${LANES.join(", ")}`);

const filters = { ...ofTenants, endpoint_id: EndpointId, type: Subscription, lane: TailedLane, outcome: Outcome };

export function tailRoute(deps: TailReadersDeps): Route {
  const readers = new TailReaders(deps);
  return {
    method: "GET",
    path: "/v1/tail",
    scope: "read",
    query: filters,
    body: null,
    handle: async (admitted) => {
      const filter = filterOf(admitted);
      const headers = { ...admitted.headers, ...STREAM_HEADERS };
      // HEAD is answered as GET is, and reads nothing.
      if (admitted.request.method === "HEAD") return new Response(null, { headers });
      return new Response(readers.open(admitted.caller, filter).stream, { headers });
    },
  };
}

const STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // Not to be collected by an nginx in between.
  "x-accel-buffering": "no",
};

function filterOf({ caller, query }: AdmittedRequest): TailFilter {
  return {
    tenant: resolveTenants(caller, query.get("tenant") ?? null),
    type: parsedOf(query, filters, "type") ?? null,
    lane: parsedOf(query, filters, "lane") ?? null,
    endpointId: parsedOf(query, filters, "endpoint_id") ?? null,
    outcome: parsedOf(query, filters, "outcome") ?? null,
  };
}
