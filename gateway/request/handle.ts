/**
 * The way of each request through the gateway, the same for all routes: key, scope and tenant (401, 403: never charged),
 * form and declared size of the body, rate limit, query, and then the route's own work. Here errors become answers.
 */
import type { ApiKey, Scope } from "@posthaste/shared/domain/api-key.ts";
import type { BodyForm } from "./content-type.ts";
import type { RequestContext } from "./context.ts";
import type { GatewayDeps } from "./deps.ts";
import type { Query } from "./query.ts";
import { authenticate, requireScope } from "./authenticate.ts";
import { checkDeclaredLength, parseJson, readText } from "./body.ts";
import { bodyFormOf } from "./content-type.ts";
import { readInTime } from "./context.ts";
import { announcePolicy, charge } from "./rate-limit.ts";
import { problemResponse, publicError } from "./problem.ts";
import { checkQuery, parseQuery } from "./query.ts";
import { requireOwnTenant } from "./tenancy.ts";
import { JSON_DEPTH_MAX } from "@posthaste/shared/domain/json-span.ts";

export interface BodyRule {
  readonly bytesMax: number;
  /** An empty body is as good as `{}`. */
  readonly isOptional: boolean;
  readonly takesCloudEvents: boolean;
}

export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Template with `:name` segments. */
  readonly path: string;
  readonly scope: Scope;
  /** Query parameters it knows. */
  readonly query: readonly string[];
  /** Null: a body is not looked at. */
  readonly body: BodyRule | null;
  readonly handle: (admitted: AdmittedRequest) => Promise<Response>;
}

/** An admitted request, on its way through one route. */
export interface AdmittedRequest {
  readonly request: Request;
  readonly context: RequestContext;
  readonly caller: ApiKey;
  readonly query: Query;
  readonly form: BodyForm;
  readonly rule: BodyRule | null;
  /** Fields that each answer carries, RateLimit above all. */
  readonly headers: Record<string, string>;
  readonly param: (name: string) => string;
}

export interface MatchedRequest {
  readonly request: Request;
  readonly context: RequestContext;
  readonly param: (name: string) => string;
}

export async function handleRequest(route: Route, matched: MatchedRequest, deps: GatewayDeps): Promise<Response> {
  const { request, context } = matched;
  const { headers } = context;
  context.route = route.path;
  try {
    const found = authenticate(request, deps);
    const caller = found instanceof Promise ? await found : found;
    announcePolicy(caller, headers);
    requireScope(caller, route.scope);
    const { query, repeated } = parseQuery(request.url);
    requireOwnTenant(caller, query.get("tenant") ?? null);
    const form = route.body === null ? "json" : checkBody(request, route.body);
    const charging = charge(deps.drivers.rateLimiter, caller, 1, headers);
    if (charging !== undefined) await charging;
    checkQuery(query, repeated, route.query);
    return await route.handle({
      request,
      context,
      caller,
      query,
      form,
      rule: route.body,
      headers,
      param: matched.param,
    });
  } catch (thrown) {
    const error = publicError(thrown, deps.telemetry.log, route.path);
    context.code = error.code;
    return problemResponse(error, headers);
  }
}

/** The body's text, within its bound and the request's time. */
export async function readBody(admitted: AdmittedRequest): Promise<string> {
  const { request, context, rule } = admitted;
  const bytesMax = rule?.bytesMax ?? 0;
  const onTimeout = (cancel: () => void): void => {
    context.cancelReading = cancel;
  };
  return readInTime(context, () => readText({ request, bytesMax, onTimeout }));
}

/** The body as parsed JSON; `{}` for an empty one where that is allowed. */
export async function readJson(admitted: AdmittedRequest): Promise<unknown> {
  const text = await readBody(admitted);
  if (admitted.rule?.isOptional === true && text === "") return {};
  return parseJson(text, JSON_DEPTH_MAX);
}

/** A success; `text` is the JSON to send. */
export function answer(
  admitted: AdmittedRequest,
  status: number,
  text: string,
  extra?: Readonly<Record<string, string>>,
): Response {
  const headers: Record<string, string> = { ...admitted.headers, ...extra, "content-type": "application/json" };
  return new Response(text, { status, headers });
}

/** A success whose JSON may hold what caches must not keep: everything but the accept path. */
export function answerJson(
  admitted: AdmittedRequest,
  status: number,
  value: unknown,
  extra?: Readonly<Record<string, string>>,
): Response {
  return answer(admitted, status, JSON.stringify(value), { "cache-control": "no-store", ...extra });
}

export function answerEmpty(admitted: AdmittedRequest): Response {
  return new Response(null, { status: 204, headers: admitted.headers });
}

function checkBody(request: Request, rule: BodyRule): BodyForm {
  checkDeclaredLength(request, rule.bytesMax);
  if (rule.isOptional && request.headers.get("content-type") === null) return "json";
  return bodyFormOf(request, rule.takesCloudEvents);
}
