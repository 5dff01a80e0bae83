/** `/v1/endpoints`: create, list, show, change, remove. */
import * as v from "valibot";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import { ENDPOINT_STATUSES, EndpointPatch, NewEndpoint } from "@posthaste/shared/domain/endpoint.ts";
import { HEADER_MASK, HEADERS_MAX } from "@posthaste/shared/domain/endpoint-headers.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { troubleAfterChange } from "@posthaste/shared/domain/endpoint-trouble.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { newSecret } from "@posthaste/shared/domain/signature.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { EndpointView } from "../answers/endpoints.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { BodyRule, AdmittedRequest, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { findEndpoint, namedEndpoint, noEndpoint } from "./find-endpoint.ts";
import { requireInTime } from "../request/context.ts";
import { instantText, listView } from "./view-parts.ts";
import { readPage } from "../request/cursors.ts";
import { ofTenant, ofTenants, paged, parsedOf } from "../request/query.ts";
import { answerEmpty, answerJson, bodyJson } from "../request/handle.ts";
import { resolveTenant, resolveTenants, tenantSuffix } from "../request/tenancy.ts";
import { failed, pointerTo, validateStrictly } from "../request/validation.ts";

/** The transport has the same bound; this one holds whatever the transport does. */
const VET_MS = 5000;

const Status = v.picklist(ENDPOINT_STATUSES, `must be one of ${ENDPOINT_STATUSES.join(", ")}`);
const PAUSED_REASON = "paused by its owner";

const rules = { bytesMax: MANAGEMENT_BYTES_MAX, isOptional: false, takesCloudEvents: false };
const creation: BodyRule = { ...rules, schema: NewEndpoint };
const patching: BodyRule = { ...rules, schema: EndpointPatch };
const filters = { ...ofTenants, status: Status, ...paged };
const ONE = "/v1/endpoints/:id";

export interface EndpointDeps extends GatewayDeps {
  /** Aborted when the gateway stops: no look-up is waited for any more. */
  readonly stopping: AbortSignal;
}

export function endpointRoutes(deps: EndpointDeps): readonly Route[] {
  const all = "/v1/endpoints";
  const shared = { scope: "manage", query: ofTenant } as const;
  return [
    { ...shared, method: "POST", path: all, body: creation, handle: (admitted) => create(deps, admitted) },
    {
      method: "GET",
      path: all,
      scope: "read",
      query: filters,
      body: null,
      handle: (admitted) => listAll(deps, admitted),
    },
    { ...shared, method: "GET", path: ONE, scope: "read", body: null, handle: (admitted) => show(deps, admitted) },
    { ...shared, method: "PATCH", path: ONE, body: patching, handle: (admitted) => change(deps, admitted) },
    { ...shared, method: "DELETE", path: ONE, body: null, handle: (admitted) => remove(deps, admitted) },
  ];
}

async function create(deps: EndpointDeps, admitted: AdmittedRequest): Promise<Response> {
  const { caller } = admitted;
  const wish = validateStrictly(NewEndpoint, bodyJson(admitted));
  const tenant = resolveTenant(caller, wish.tenant ?? null, admitted.query.get("tenant") ?? null);
  await vet(deps, wish.url, tenant);
  requireInTime(admitted.context);
  const nowMs = Math.floor(deps.clock.now());
  const secret = wish.secret ?? newSecret(deps.entropy);
  const endpoint: Endpoint = {
    id: newId("ep", nowMs, deps.entropy),
    tenant,
    url: wish.url,
    eventTypes: wish.event_types,
    description: wish.description,
    headers: wish.headers,
    secrets: [{ secret, createdAtMs: nowMs, expiresAtMs: null }],
    retry: wish.retry,
    rateLimit: wish.rate_limit,
    batch: wish.batch,
    status: wish.paused ? "paused" : "active",
    statusReason: wish.paused ? PAUSED_REASON : null,
    statusSinceMs: wish.paused ? nowMs : null,
    trouble: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
  await deps.drivers.directory.create(endpoint);
  const location = `/v1/endpoints/${endpoint.id}${tenantSuffix(caller, tenant)}`;
  return answerJson(admitted, 201, { ...endpointView(endpoint), secret }, { location });
}

async function listAll(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { query } = admitted;
  const tenant = resolveTenants(admitted.caller, query.get("tenant") ?? null);
  const status = parsedOf(query, filters, "status");
  const filter = status === undefined ? { tenant } : { tenant, status };
  const page = await readPage(deps, admitted, { tenant }, (limit, cursor) =>
    deps.drivers.directory.list(filter, limit, cursor),
  );
  return answerJson(admitted, 200, listView(page, endpointView));
}

async function show(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  return answerJson(admitted, 200, endpointView(await findEndpoint(deps, admitted)));
}

async function change(deps: EndpointDeps, admitted: AdmittedRequest): Promise<Response> {
  const { tenant, id } = namedEndpoint(admitted);
  const wish = validateStrictly(EndpointPatch, bodyJson(admitted));
  const nowMs = Math.floor(deps.clock.now());
  if (wish.url !== undefined) {
    // Refused before the look-up of the address, if it will be refused at all.
    changeEndpoint(await findEndpoint(deps, admitted), wish, nowMs);
    await vet(deps, wish.url, tenant);
  }
  requireInTime(admitted.context);
  const changed = await deps.drivers.directory.update(tenant, id, (endpoint) => changeEndpoint(endpoint, wish, nowMs));
  if (changed === null) throw noEndpoint();
  return answerJson(admitted, 200, endpointView(changed));
}

async function remove(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { tenant, id } = namedEndpoint(admitted);
  if (!(await deps.drivers.directory.remove(tenant, id))) throw noEndpoint();
  return answerEmpty(admitted);
}

/** A name that does not resolve now is allowed, as each attempt vets the address again. */
async function vet(deps: EndpointDeps, url: string, tenant: string): Promise<void> {
  using deadline = deps.clock.deadline(VET_MS, deps.stopping);
  const vetting = await deps.transport.vet(url, tenant, deadline.signal);
  switch (vetting.kind) {
    case "allowed":
    case "unresolved":
      return;
    case "forbidden": {
      const errors = [{ pointer: "#/url", detail: vetting.reason }];
      throw new PosthasteError("forbidden-address", { detail: `The URL cannot be called: ${vetting.reason}.`, errors });
    }
    default:
      return unreachable(vetting);
  }
}

/** `patch` has only what changes; a `url` in it is vetted by the caller. Throws what the endpoint as it is refuses. */
function changeEndpoint(endpoint: Endpoint, patch: EndpointPatch, nowMs: number): Endpoint {
  const status = changeStatus(endpoint, patch, nowMs);
  const isLetGoOn = endpoint.status !== "active" && status.status === "active";
  const isMoved = (patch.url ?? endpoint.url) !== endpoint.url;
  return {
    ...endpoint,
    url: patch.url ?? endpoint.url,
    eventTypes: patch.event_types ?? endpoint.eventTypes,
    description: patch.description ?? endpoint.description,
    headers: changeHeaders(endpoint, patch),
    retry: patch.retry === undefined ? endpoint.retry : patch.retry,
    rateLimit: patch.rate_limit === undefined ? endpoint.rateLimit : patch.rate_limit,
    batch: patch.batch === undefined ? endpoint.batch : patch.batch,
    ...status,
    // What it did before says nothing of what it does from now on.
    trouble: isLetGoOn || isMoved ? troubleAfterChange(endpoint.trouble, nowMs) : endpoint.trouble,
    updatedAtMs: nowMs,
  };
}

/**
 * Each header of the patch changes alone. Their values are secrets that are never shown, so who points the endpoint at
 * another origin must give each again, or remove it: whoever may change a URL could read them all otherwise.
 */
function changeHeaders(endpoint: Endpoint, { url, headers: changes }: EndpointPatch): Endpoint["headers"] {
  if (changes === null) return {};
  const isMoved = url !== undefined && new URL(url).origin !== new URL(endpoint.url).origin;
  const taken = Object.keys(endpoint.headers).filter((name) => !Object.hasOwn(changes ?? {}, name));
  if (isMoved && taken.length > 0) {
    const detail = "must be given again, or removed with null, as the URL leads to another origin";
    throw failed(taken.map((name) => ({ pointer: pointerTo(["headers", name]), detail })));
  }
  if (changes === undefined) return endpoint.headers;
  const merged = Object.entries({ ...endpoint.headers, ...changes }).filter(([, value]) => value !== null);
  if (merged.length > HEADERS_MAX) {
    throw failed([{ pointer: "#/headers", detail: `must have at most ${HEADERS_MAX} headers, those it has included` }]);
  }
  return Object.fromEntries(merged) as Endpoint["headers"];
}

type Status = Pick<Endpoint, "status" | "statusReason" | "statusSinceMs">;

/**
 * `paused: true` pauses any endpoint, also a disabled one. `paused: false` ends a pause only, so that a view that is sent
 * back unchanged cannot enable what we disabled. `disabled: false` enables.
 */
function changeStatus(endpoint: Endpoint, patch: EndpointPatch, nowMs: number): Status {
  const { status, statusReason, statusSinceMs } = endpoint;
  const isEnded =
    (status === "paused" && patch.paused === false) || (status === "disabled" && patch.disabled === false);
  if (patch.paused === true && status !== "paused") {
    return { status: "paused", statusReason: PAUSED_REASON, statusSinceMs: nowMs };
  }
  if (isEnded) return { status: "active", statusReason: null, statusSinceMs: null };
  return { status, statusReason, statusSinceMs };
}

/**
 * As the API shows it. Secrets are left out: they are shown at creation and rotation only. So are the values of headers,
 * which carry passwords and tokens.
 */
function endpointView(endpoint: Endpoint): EndpointView {
  const { rateLimit, batch } = endpoint;
  return {
    id: endpoint.id,
    tenant: endpoint.tenant,
    url: endpoint.url,
    event_types: endpoint.eventTypes,
    description: endpoint.description,
    headers: Object.fromEntries(Object.keys(endpoint.headers).map((name) => [name, HEADER_MASK])),
    retry: endpoint.retry ?? DEFAULT_RETRY_POLICY,
    rate_limit: rateLimit === null ? null : { limit: rateLimit.limit, window_ms: rateLimit.windowMs },
    batch: batch === null ? null : { max_events: batch.maxEvents, max_wait_ms: batch.maxWaitMs },
    status: endpoint.status,
    status_reason: endpoint.statusReason,
    status_since: instantText(endpoint.statusSinceMs),
    failing_since: instantText(endpoint.trouble?.sinceMs ?? null),
    created_at: instantText(endpoint.createdAtMs),
    updated_at: instantText(endpoint.updatedAtMs),
  };
}
