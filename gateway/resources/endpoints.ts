/** `/v1/endpoints`: create, list, show, change, remove. */
import { EndpointPatch, NewEndpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { newSecret } from "@posthaste/shared/domain/signature.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { BodyRule, Call, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { changeEndpoint, PAUSED_REASON } from "./endpoint-change.ts";
import { findEndpoint, namedEndpoint, noEndpoint } from "./find-endpoint.ts";
import { requireInTime } from "../request/context.ts";
import { endpointView } from "./present-endpoint.ts";
import { listView } from "./present.ts";
import { cursorOf, limitOf } from "../request/query.ts";
import { answerEmpty, answerJson, readJson } from "../request/handle.ts";
import { resolveTenant, resolveTenants, tenantSuffix } from "../request/tenancy.ts";
import { validateStrictly } from "../request/validation.ts";

/** The transport's own bound is the same; this one holds whatever it does. */
const VET_MS = 5000;

const body: BodyRule = { bytesMax: MANAGEMENT_BYTES_MAX, isOptional: false, takesCloudEvents: false };
const ONE = "/v1/endpoints/:id";

export function endpointRoutes(deps: GatewayDeps): readonly Route[] {
  const all = "/v1/endpoints";
  const list = ["tenant", "limit", "cursor"];
  return [
    { method: "POST", path: all, scope: "manage", query: ["tenant"], body, handle: (call) => create(deps, call) },
    { method: "GET", path: all, scope: "read", query: list, body: null, handle: (call) => listAll(deps, call) },
    { method: "GET", path: ONE, scope: "read", query: ["tenant"], body: null, handle: (call) => show(deps, call) },
    { method: "PATCH", path: ONE, scope: "manage", query: ["tenant"], body, handle: (call) => patch(deps, call) },
    {
      method: "DELETE",
      path: ONE,
      scope: "manage",
      query: ["tenant"],
      body: null,
      handle: (call) => remove(deps, call),
    },
  ];
}

async function create(deps: GatewayDeps, call: Call): Promise<Response> {
  const { caller } = call;
  const wish = validateStrictly(NewEndpoint, await readJson(call));
  const tenant = resolveTenant(caller, wish.tenant ?? null, call.query.get("tenant") ?? null);
  await vet(deps, wish.url);
  requireInTime(call.context);
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
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
  await deps.drivers.directory.create(endpoint);
  const location = `/v1/endpoints/${endpoint.id}${tenantSuffix(caller, tenant)}`;
  return answerJson(call, 201, { ...endpointView(endpoint), secret }, { location });
}

async function listAll(deps: GatewayDeps, call: Call): Promise<Response> {
  const { query } = call;
  const tenant = resolveTenants(call.caller, query.get("tenant") ?? null);
  const page = await deps.drivers.directory.list(tenant, limitOf(query), cursorOf(query));
  return answerJson(call, 200, listView(page, endpointView));
}

async function show(deps: GatewayDeps, call: Call): Promise<Response> {
  return answerJson(call, 200, endpointView(await findEndpoint(deps, call)));
}

async function patch(deps: GatewayDeps, call: Call): Promise<Response> {
  const { tenant, id } = namedEndpoint(call);
  const wish = validateStrictly(EndpointPatch, await readJson(call));
  if (wish.url !== undefined) {
    await findEndpoint(deps, call);
    await vet(deps, wish.url);
  }
  requireInTime(call.context);
  const nowMs = Math.floor(deps.clock.now());
  const changed = await deps.drivers.directory.update(tenant, id, (endpoint) => changeEndpoint(endpoint, wish, nowMs));
  if (changed === null) throw noEndpoint();
  return answerJson(call, 200, endpointView(changed));
}

async function remove(deps: GatewayDeps, call: Call): Promise<Response> {
  const { tenant, id } = namedEndpoint(call);
  if (!(await deps.drivers.directory.remove(tenant, id))) throw noEndpoint();
  return answerEmpty(call);
}

/** A name that does not resolve now is taken: each attempt vets the address again. */
async function vet(deps: GatewayDeps, url: string): Promise<void> {
  using deadline = deps.clock.deadline(VET_MS);
  const vetting = await deps.transport.vet(url, deadline.signal);
  switch (vetting.kind) {
    case "allowed":
    case "unresolved":
      return;
    case "forbidden": {
      const errors = [{ pointer: "#/url", detail: vetting.reason }];
      throw new PosthasteError("forbidden-address", { detail: vetting.reason, errors });
    }
    default:
      return unreachable(vetting);
  }
}
