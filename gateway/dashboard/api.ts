/**
 * The API as the pages ask it: the gateway's own routes, run in this process for the key of the session. So each page passes the
 * same checks of scope, tenant and limits as the call that it makes, counts as that call, and gets its answer.
 */
import type * as v from "valibot";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import type { ApiKeyList, CreatedApiKey } from "../answers/api-keys.ts";
import type { DeadLetterList, PlannedReplay, ReplayedLetters } from "../answers/dead-letters.ts";
import type { CreatedEndpoint, EndpointList, EndpointView, RotatedSecret, StatsView } from "../answers/endpoints.ts";
import type { AcceptedEvent, AttemptList, EventList, EventStatus, Resent, Why } from "../answers/events.ts";
import type { EventTypeList, EventTypeView } from "../answers/event-types.ts";
import type { RequestContext } from "../request/context.ts";
import { createRequestContext } from "../request/context.ts";
import type { HandleDeps, MatchedRequest, Route } from "../request/handle.ts";
import { handleRequest } from "../request/handle.ts";
import { Refused } from "./refused.ts";

/** What each call that a page makes is answered with. */
interface Answers {
  readonly "GET /v1/events": v.InferOutput<typeof EventList>;
  readonly "GET /v1/events/:id": EventStatus;
  readonly "GET /v1/events/:id/why": v.InferOutput<typeof Why>;
  readonly "POST /v1/events/:id/resend": v.InferOutput<typeof Resent>;
  readonly "GET /v1/endpoints": v.InferOutput<typeof EndpointList>;
  readonly "POST /v1/endpoints": v.InferOutput<typeof CreatedEndpoint>;
  readonly "GET /v1/endpoints/:id": EndpointView;
  readonly "PATCH /v1/endpoints/:id": EndpointView;
  readonly "DELETE /v1/endpoints/:id": null;
  readonly "POST /v1/endpoints/:id/rotate-secret": v.InferOutput<typeof RotatedSecret>;
  readonly "POST /v1/endpoints/:id/test": v.InferOutput<typeof AcceptedEvent>;
  readonly "GET /v1/endpoints/:id/attempts": v.InferOutput<typeof AttemptList>;
  readonly "GET /v1/endpoints/:id/stats": StatsView;
  readonly "GET /v1/dead-letters": v.InferOutput<typeof DeadLetterList>;
  readonly "POST /v1/dead-letters/replay": v.InferOutput<typeof ReplayedLetters>;
  readonly "POST /v1/dead-letters/:id/replay": v.InferOutput<typeof PlannedReplay>;
  readonly "DELETE /v1/dead-letters/:id": null;
  readonly "GET /v1/event-types": v.InferOutput<typeof EventTypeList>;
  readonly "GET /v1/event-types/:name": EventTypeView;
  readonly "PUT /v1/event-types/:name": EventTypeView;
  readonly "DELETE /v1/event-types/:name": null;
  readonly "GET /v1/api-keys": v.InferOutput<typeof ApiKeyList>;
  readonly "POST /v1/api-keys": v.InferOutput<typeof CreatedApiKey>;
  readonly "DELETE /v1/api-keys/:id": null;
}
type Call = keyof Answers;

export interface Wish {
  /** In the place of the path's one parameter. */
  readonly id?: string;
  /** Empty values are left out. */
  readonly query?: Readonly<Record<string, string | null | undefined>>;
  readonly body?: unknown;
}

export type Answered<Value> =
  | { readonly kind: "done"; readonly value: Value; readonly text: string }
  | { readonly kind: "refused"; readonly problem: Problem };

export interface Api {
  ask<const Name extends Call>(call: Name, wish?: Wish): Promise<Answered<Answers[Name]>>;
  /** The answer as it is, for a stream. */
  open(call: "GET /v1/tail", wish: Wish): Promise<Response>;
}

/** Throws `Refused`. */
export function valueOf<Value>(answered: Answered<Value>): Value {
  if (answered.kind === "refused") throw new Refused(answered.problem);
  return answered.value;
}

export function createApi(deps: HandleDeps, routes: readonly Route[]) {
  const byName = new Map(routes.map((route) => [`${route.method} ${route.path}`, route]));

  return (caller: ApiKey, outer: MatchedRequest): Api => {
    const respond = async (call: string, wish: Wish, method?: string): Promise<Response> => {
      const route = byName.get(call);
      assert(route !== undefined, "pages ask for routes that there are");
      const context = innerContext(outer.context);
      const request = innerRequest({ ...route, method: method ?? route.method }, wish, outer.request);
      const matched = { request, context, param: () => wish.id ?? "" };
      try {
        return await handleRequest(route, matched, deps, () => Promise.resolve(caller));
      } finally {
        deps.admission.leave(context);
        outer.context.code = context.code;
        outer.context.reason = context.reason;
      }
    };
    return {
      async ask<const Name extends Call>(call: Name, wish: Wish = {}) {
        const response = await respond(call, wish);
        const text = await response.text();
        if (response.status >= 400) return { kind: "refused", problem: JSON.parse(text) as Problem };
        return { kind: "done", value: (text === "" ? null : JSON.parse(text)) as Answers[Name], text };
      },
      // Of what is asked for by HEAD nobody reads the stream, and nobody would end it.
      open: (call, wish) => respond(call, wish, outer.request.method),
    };
  };
}

/** A page's calls end with its own time, and stand in its trace. */
function innerContext(outer: RequestContext): RequestContext {
  const context = createRequestContext(outer.trace);
  return Object.defineProperty(context, "isOver", { get: () => outer.isOver });
}

const encoder = new TextEncoder();

function innerRequest(
  { method, path, body }: Pick<Route, "path" | "body"> & { readonly method: string },
  wish: Wish,
  { signal }: InboundRequest,
): InboundRequest {
  const query = Object.entries(wish.query ?? {}).filter(([, value]) => value != null && value !== "");
  const search = new URLSearchParams(query as [string, string][]).toString();
  const bytes = encoder.encode(body === null ? "" : JSON.stringify(wish.body ?? {}));
  return {
    method,
    url: `http://dashboard${path}${search === "" ? "" : `?${search}`}`,
    headers: new Headers(body === null ? {} : { "content-type": "application/json" }),
    whole: () => bytes,
    bytes: () => Promise.resolve(bytes),
    body: null,
    signal,
  };
}
