/**
 * How each request is handled, the same for all routes, in this order:
 *
 * 1. By the head alone: key, scope, tenant, the body's form and declared size. Refused here, it holds no memory.
 * 2. The body arrives, within its bounds by key, by tenant and in all (`admission.ts`). It holds no slot meanwhile.
 * 3. A slot of the work, by key and tenant again.
 * 4. The rate limit: what is refused before costs nothing.
 * 5. The query, and the route's own work; reads take turns (`read-turns.ts`), and so does the work on bodies
 *    (`work-turns.ts`).
 *
 * Errors become answers here.
 */
import type * as v from "valibot";
import type { ApiKey, Scope } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import { JSON_DEPTH_MAX, repeatedMember } from "@posthaste/shared/domain/json-span.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import { textResponse } from "@posthaste/shared/ports/text-response.ts";
import type { BodyForm } from "./headers.ts";
import type { Admission } from "./admission.ts";
import type { RequestContext } from "./context.ts";
import type { GatewayDeps } from "./deps.ts";
import type { Query, QueryRule } from "./query.ts";
import type { ReadTurns } from "./read-turns.ts";
import type { Work, WorkTurns } from "./work-turns.ts";
import { authenticate, requireScope } from "./authenticate.ts";
import { checkDeclaredLength, framedLength, parseJson, readText, textOf } from "./body.ts";
import { bodyFormOf, requireNoCoding } from "./headers.ts";
import { readInTime, requireInTime } from "./context.ts";
import { announcePolicy, charge } from "./rate-limit.ts";
import { noteRefusal, problemResponse, publicError } from "./problem.ts";
import { checkQuery, parseQuery } from "./query.ts";
import { givenTwice } from "./validation.ts";
import { requireOwnTenant } from "./tenancy.ts";

export interface BodyRule {
  /** What its JSON is validated by, in the route's handler. */
  readonly schema: v.GenericSchema<unknown, unknown>;
  readonly bytesMax: number;
  /** An empty body is as good as `{}`. */
  readonly isOptional: boolean;
  readonly takesCloudEvents: boolean;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Template with `:name` segments. */
  readonly path: string;
  readonly scope: Scope;
  readonly query: QueryRule;
  /** Null: the body is not read. */
  readonly body: BodyRule | null;
  /** The route charges the rate limit when it has read how much is asked for; all others cost one unit. */
  readonly chargesItself?: true;
  readonly handle: (admitted: AdmittedRequest) => Promise<Response>;
}

/** A request that passed every check that all routes share. */
export interface AdmittedRequest {
  readonly request: InboundRequest;
  readonly context: RequestContext;
  readonly caller: ApiKey;
  readonly query: Query;
  readonly form: BodyForm;
  readonly rule: BodyRule | null;
  /** The body; empty when it is not read. */
  readonly text: string;
  /** Fields that each answer carries, RateLimit above all. */
  readonly headers: Record<string, string>;
  readonly param: (name: string) => string;
  /** A further part of the work on the body, beyond the handler's first wait, in a turn that has time for it. Not begun past the request's time. */
  readonly inTurn: InTurn;
}

export type InTurn = <Result>(work: Work<Result>) => Promise<Result>;

/** A request whose path and method fit a route. */
export interface MatchedRequest {
  readonly request: InboundRequest;
  readonly context: RequestContext;
  readonly param: (name: string) => string;
}

export interface HandleDeps extends GatewayDeps {
  readonly admission: Admission;
  readonly readTurns: ReadTurns;
  readonly workTurns: WorkTurns;
}

/** `identify` says who calls; throws 401. By default it is whose API key the request carries. */
export async function handleRequest(
  route: Route,
  matched: MatchedRequest,
  deps: HandleDeps,
  identify: (request: InboundRequest, deps: HandleDeps) => Promise<ApiKey> = authenticate,
): Promise<Response> {
  const { request, context } = matched;
  const { headers } = context;
  context.route = route.path;
  try {
    const caller = await identify(request, deps);
    announcePolicy(caller, headers);
    requireScope(caller, route.scope);
    const { query, repeated } = parseQuery(request.url);
    requireOwnTenant(caller, query.get("tenant") ?? null);
    const form = route.body === null ? "json" : checkBody(request, route.body);
    const text = route.body === null ? "" : await bodyText(request, context, { caller, rule: route.body }, deps);
    deps.admission.enter(context, caller);
    if (route.chargesItself !== true) await charge(deps.drivers.rateLimiter, caller, 1, headers);
    checkQuery(query, repeated, route.query);
    const { param } = matched;
    const tenant = caller.tenant ?? OPERATOR_TENANT;
    // What waited past the request's time is not begun.
    const begin = <Result>(work: () => Result): Result => {
      requireInTime(context);
      return work();
    };
    const inTurn: InTurn = (work) => deps.workTurns.run(tenant, (hasTime) => begin(() => work(hasTime)));
    const admitted = { request, context, caller, query, form, rule: route.body, text, headers, param, inTurn };
    const handle = (): Promise<Response> => route.handle(admitted);
    return await (route.method === "GET"
      ? deps.readTurns.run(tenant, async () => await begin(handle))
      : inTurn(handle));
  } catch (thrown) {
    const error = withCursorNamed(publicError(thrown, deps.telemetry.log, route.path), route);
    noteRefusal(context, error);
    return problemResponse(error, headers, context);
  }
}

/** A cursor is refused without knowing where it stood; the same words for every list. */
function withCursorNamed(error: PosthasteError, { body }: Route): PosthasteError {
  if (error.code !== "invalid-cursor") return error;
  const detail = "must be next_cursor of this list's answer before, as it was";
  const place = body === null ? { parameter: "cursor" } : { pointer: "#/cursor" };
  return new PosthasteError(error.code, { detail: CURSOR_REFUSED, errors: [{ ...place, detail }] });
}

const CURSOR_REFUSED =
  "The field `cursor` is not what this list gave out for this tenant. Give `next_cursor` back as it was, or begin again without `cursor`.";

interface BodyWish {
  readonly caller: ApiKey;
  readonly rule: BodyRule;
}

/** At once where the whole body came together with its head, as most do: nothing of it is waited for. */
function bodyText(
  request: InboundRequest,
  context: RequestContext,
  wish: BodyWish,
  deps: HandleDeps,
): string | Promise<string> {
  requireInTime(context);
  const whole = request.whole?.() ?? null;
  if (whole === null) return receiveBody(request, context, wish, deps);
  deps.admission.arrive(context, wish.caller, whole.length).end();
  return textOf(whole, wish.rule.bytesMax);
}

/** The body's text, within its size bound, its share of what may arrive at once, and the request's time. */
async function receiveBody(
  request: InboundRequest,
  context: RequestContext,
  { caller, rule }: BodyWish,
  { admission }: HandleDeps,
): Promise<string> {
  const { bytesMax } = rule;
  const arrival = admission.arrive(context, caller, framedLength(request, bytesMax));
  try {
    return await readInTime(context, (onTimeout) => readText({ request, bytesMax, onBytes: arrival.grow, onTimeout }));
  } finally {
    arrival.end();
  }
}

/** The body as parsed JSON; `{}` for an empty one where that is allowed. Refuses a member that is given twice. */
export function bodyJson({ rule, text }: AdmittedRequest): unknown {
  if (rule?.isOptional === true && text === "") return {};
  const value = parseJson(text, JSON_DEPTH_MAX);
  const repeated = repeatedMember(text);
  if (repeated !== null) throw givenTwice(repeated);
  return value;
}

/** A success; `text` is the JSON to send. */
export function answer(
  admitted: AdmittedRequest,
  status: number,
  text: string,
  extra?: Readonly<Record<string, string>>,
): Response {
  const headers: Record<string, string> = { ...admitted.headers, ...extra, "content-type": "application/json" };
  return textResponse({ status, headers, text });
}

/** A success that no cache may keep: every answer but those of the accept path. */
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

function checkBody(request: InboundRequest, rule: BodyRule): BodyForm {
  checkDeclaredLength(request, rule.bytesMax);
  requireNoCoding(request.headers);
  if (rule.isOptional && request.headers.get("content-type") === null) return "json";
  return bodyFormOf(request, rule.takesCloudEvents);
}
