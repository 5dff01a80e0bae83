/**
 * The gateway: all routes on one Hono app, requests bounded in number and time. It uses web standards only, so that it
 * runs on Bun, Node, Deno and workerd. `main` gives it a server, drivers, clock, chance and hashing.
 */
import { Hono } from "hono";
import { LinearRouter } from "hono/router/linear-router";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import type { GatewayDeps, GatewayLimits } from "./request/deps.ts";
import type { RequestContext } from "./request/context.ts";
import type { HandleDeps, Route } from "./request/handle.ts";
import type { OpenRoute } from "./resources/health.ts";
import { Admission } from "./request/admission.ts";
import { createAllowedMethods } from "./request/allowed-methods.ts";
import { createRequestContext, endRequest } from "./request/context.ts";
import { noteRefusal, problemResponse, publicError } from "./request/problem.ts";
import { handleRequest } from "./request/handle.ts";
import { createReadTurns } from "./request/read-turns.ts";
import { createWorkTurns } from "./request/work-turns.ts";
import { apiKeyRoutes } from "./resources/api-keys.ts";
import { batchRoute } from "./publish/batch.ts";
import { deadLetterRoutes } from "./resources/dead-letters.ts";
import { endpointActionRoutes } from "./resources/endpoint-actions.ts";
import { endpointReadRoutes } from "./resources/endpoint-reads.ts";
import { endpointReplayRoute } from "./resources/endpoint-replay.ts";
import type { EndpointDeps } from "./resources/endpoints.ts";
import { endpointRoutes } from "./resources/endpoints.ts";
import { eventCancelRoute } from "./resources/event-cancel.ts";
import { eventResendRoute } from "./resources/event-resend.ts";
import { eventReadRoutes } from "./resources/events.ts";
import { eventTypeRoutes } from "./resources/event-types.ts";
import { eventWhyRoute } from "./resources/event-why.ts";
import type { Dashboard, DashboardRoute } from "./dashboard/dashboard.ts";
import { referenceRoutes } from "./openapi/reference.ts";
import { publishRoute } from "./publish/events.ts";
import type { PortalLinkDeps } from "./resources/portal-links.ts";
import { portalLinkRoute } from "./resources/portal-links.ts";
import { quarantineRoutes } from "./resources/quarantine.ts";
import { tailRoute } from "./tail/tail.ts";
import { healthRoutes } from "./resources/health.ts";

export interface Gateway {
  /** Answers every request, also malformed ones; never rejects. */
  readonly fetch: (request: InboundRequest) => Promise<Response>;
  /** From now on `/readyz` says 503, and no request waits for a name server; all are still answered. Streams end. */
  stop(): void;
}

type App = Hono<{ Bindings: RequestContext }>;

export interface GatewayOptions extends GatewayDeps {
  readonly limits: GatewayLimits;
  /** It is made for one request: then routes are compared one by one, which costs less than to prepare for many. */
  readonly isForOneRequest?: true;
  /** Left out: there is no `/dashboard` and no `/portal`. */
  readonly dashboard?: Dashboard;
}

export function createGateway(deps: GatewayOptions): Gateway {
  const { clock, limits } = deps;
  const stopping = new AbortController();
  const admission = new Admission(limits, clock);
  let inFlight = 0;
  deps.telemetry.accept.observe(() => inFlight);
  const readTurns = createReadTurns(limits.readsMax, clock);
  const workTurns = createWorkTurns(clock);
  const portalLinks = deps.dashboard?.portalLinks ?? null;
  const routes = createRoutes({ ...deps, stopping: stopping.signal, portalLinks });
  const open = createOpenRoutes(deps, routes, () => stopping.signal.aborted);
  const handleDeps = { ...deps, admission, readTurns, workTurns };
  const pages = deps.dashboard?.routes(handleDeps, routes) ?? [];
  const app = createApp(handleDeps, { routes, open, pages });
  const respond = createRespond(app, routes, handleDeps);
  const openPaths = new Set(open.map(({ path }) => path));

  const answerRequest = (request: InboundRequest): Promise<Response> => {
    const isOpen = openPaths.has(pathOf(request.url));
    const { headers } = request;
    const [traceparent, tracestate] = [headers.get("traceparent"), headers.get("tracestate")];
    const context = createRequestContext(deps.telemetry.trace.request({ traceparent, tracestate }));
    if (!isOpen) {
      try {
        admission.begin(context, headers.get("content-length"), headers.has("transfer-encoding"));
      } catch (thrown) {
        const refused = crashed(thrown, context, deps);
        report(deps, request, context, refused, 0);
        return Promise.resolve(refused);
      }
    }
    const startedMs = clock.monotonic();
    inFlight += 1;
    return new Promise((resolve) => {
      const finish = (response: Response): void => {
        inFlight -= 1;
        report(deps, request, context, response, clock.monotonic() - startedMs);
        resolve(response);
      };
      context.expire = (budgetMs) => {
        if (!context.isOver) finish(problemResponse(endRequest(context, budgetMs), context.headers, context));
      };
      const cancel = clock.timer(limits.requestBudgetMs, () => context.expire?.(limits.requestBudgetMs));
      // The request counts until the work itself ends, as the work costs the memory.
      const work = async (): Promise<void> => {
        const response = await respond(request, context);
        cancel();
        admission.leave(context);
        if (!context.isOver) finish(response);
      };
      void work();
    });
  };
  const stop = (): void => {
    stopping.abort();
  };
  return { fetch: answerRequest, stop };
}

export type RouteDeps = EndpointDeps & PortalLinkDeps;

export function createRoutes(deps: RouteDeps): readonly Route[] {
  return [
    publishRoute(deps),
    batchRoute(deps),
    ...eventReadRoutes(deps),
    eventResendRoute(deps),
    eventCancelRoute(deps),
    eventWhyRoute(deps),
    ...eventTypeRoutes(deps),
    ...endpointRoutes(deps),
    ...endpointActionRoutes(deps),
    ...endpointReadRoutes(deps),
    endpointReplayRoute(deps),
    ...deadLetterRoutes(deps),
    ...apiKeyRoutes(deps),
    ...quarantineRoutes(deps),
    portalLinkRoute(deps),
    tailRoute(deps),
  ];
}

/** Those without a key. */
export function createOpenRoutes(
  deps: GatewayDeps,
  routes: readonly Route[],
  isStopping: () => boolean,
): readonly OpenRoute[] {
  const health = healthRoutes(deps, isStopping);
  return [...health, ...referenceRoutes(routes, health, deps)];
}

interface AppRoutes {
  readonly routes: readonly Route[];
  readonly open: readonly OpenRoute[];
  readonly pages: readonly DashboardRoute[];
}

/** One handler for each route and no middleware: Hono then calls it without composing a chain. */
function createApp(
  deps: HandleDeps & Pick<GatewayOptions, "isForOneRequest">,
  { routes, open, pages }: AppRoutes,
): App {
  const app: App = new Hono<{ Bindings: RequestContext }>(
    deps.isForOneRequest === true ? { router: new LinearRouter() } : {},
  );
  for (const route of routes) {
    app.on(route.method, route.path, (c) => {
      return handleRequest(
        route,
        { request: c.req.raw, context: c.env, param: (name) => c.req.param(name) ?? "" },
        deps,
      );
    });
  }
  for (const { path, handle } of open) {
    app.get(path, (c) => {
      c.env.route = path;
      return handle(c.req.raw.headers);
    });
  }
  for (const page of pages) {
    app.on(page.method, page.path, (c) => {
      c.env.route = page.path;
      return page.handle({ request: c.req.raw, context: c.env, param: (name) => c.req.param(name) ?? "" });
    });
  }
  const allowedFor = createAllowedMethods([...routes, ...pages, ...open.map(({ path }) => ({ method: "GET", path }))]);
  app.notFound((c) => {
    const allow = allowedFor(c.req.path);
    if (allow === null) throw new PosthasteError("not-found", "There is nothing at this path.");
    if (c.req.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
    throw new PosthasteError("method-not-allowed", { detail: `This path takes ${allow}.`, headers: { allow } });
  });
  app.onError((thrown, c) => crashed(thrown, c.env, deps));
  return app;
}

type Respond = (request: InboundRequest, context: RequestContext) => Promise<Response>;

/**
 * Never rejects: an error that no route caught is answered here. A path without a parameter, as the one that events are published to, is
 * found by its name: 7 us less of processor time than through Hono (Bun 1.4.5, 16 us a refused request).
 */
function createRespond(app: App, routes: readonly Route[], deps: HandleDeps): Respond {
  const named = new Map(
    routes.filter(({ path }) => !path.includes(":")).map((route) => [`${route.method} ${route.path}`, route]),
  );
  return async (request, context) => {
    const route = named.get(`${request.method} ${pathOf(request.url)}`);
    try {
      if (route !== undefined) return await handleRequest(route, { request, context, param: () => "" }, deps);
      // Hono reads method and URL of it, and hands it on.
      return await app.fetch(request as Request, context);
    } catch (thrown) {
      return crashed(thrown, context, deps);
    }
  };
}

function crashed(thrown: unknown, context: RequestContext, deps: GatewayDeps): Response {
  const error = publicError(thrown, deps.telemetry.log, context.route);
  noteRefusal(context, error);
  return problemResponse(error, {}, context);
}

const methods = new Set(["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"]);

function report(
  deps: GatewayDeps,
  request: InboundRequest,
  context: RequestContext,
  response: Response,
  durationMs: number,
): void {
  // An unknown method must not become a metric label of its own.
  const method = methods.has(request.method) ? request.method : "_OTHER";
  const { route, code, reason, trace } = context;
  const { status } = response;
  deps.telemetry.accept.answered({ method, route, status, durationMs, code, reason, trace });
  if (trace.span === null) return;
  deps.telemetry.trace.answered(trace, { method, route, path: pathOf(request.url), status, code, durationMs });
}

function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.indexOf("?", start);
  return url.slice(start, end === -1 ? undefined : end);
}
