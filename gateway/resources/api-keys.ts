/** `/v1/api-keys`: create (the key is shown once), list, revoke. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { hashApiKey, keyHint, NewApiKey, newApiKeySecret, OPERATOR_TENANT } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { isId, newId } from "@posthaste/shared/domain/id.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { BodyRule, Call, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { requireInTime } from "../request/context.ts";
import { grantOf } from "./api-key-grant.ts";
import { apiKeyView } from "./present-api-key.ts";
import { listView } from "./present.ts";
import { cursorOf, limitOf } from "../request/query.ts";
import { answerEmpty, answerJson, readJson } from "../request/handle.ts";
import { resolveTenant, resolveTenants, tenantScope } from "../request/tenancy.ts";
import { validateStrictly } from "../request/validation.ts";

const ALL = "/v1/api-keys";
const body: BodyRule = { bytesMax: MANAGEMENT_BYTES_MAX, isOptional: false, takesCloudEvents: false };

export function apiKeyRoutes(deps: GatewayDeps): readonly Route[] {
  const shared = { scope: "manage", query: ["tenant"] } as const;
  const list = ["tenant", "limit", "cursor"];
  return [
    { ...shared, method: "POST", path: ALL, body, handle: (call) => create(deps, call) },
    { ...shared, method: "GET", path: ALL, query: list, body: null, handle: (call) => listKeys(deps, call) },
    { ...shared, method: "DELETE", path: `${ALL}/:id`, body: null, handle: (call) => revoke(deps, call) },
  ];
}

async function create(deps: GatewayDeps, call: Call): Promise<Response> {
  const { caller } = call;
  const wish = validateStrictly(NewApiKey, await readJson(call));
  const tenant = resolveTenant(caller, wish.tenant ?? null, call.query.get("tenant") ?? null);
  const nowMs = Math.floor(deps.clock.now());
  const grant = grantOf(caller, wish, tenant, nowMs);
  requireInTime(call.context);
  const secret = newApiKeySecret(deps.entropy);
  const key: ApiKey = {
    id: newId("key", nowMs, deps.entropy),
    hash: hashApiKey(secret, deps.hasher),
    hint: keyHint(secret),
    name: wish.name,
    ...grant,
    createdAtMs: nowMs,
    revokedAtMs: null,
  };
  await deps.drivers.apiKeys.save(key);
  return answerJson(call, 201, { ...apiKeyView(key, nowMs), key: secret });
}

async function listKeys(deps: GatewayDeps, call: Call): Promise<Response> {
  const { query } = call;
  const tenant = resolveTenants(call.caller, query.get("tenant") ?? null);
  if (tenant === OPERATOR_TENANT) {
    const errors = [{ parameter: "tenant", detail: "operator keys stand in the list of all: tenant=*" }];
    throw new PosthasteError("invalid-query", { detail: "Operator keys are listed with tenant=*.", errors });
  }
  const nowMs = deps.clock.now();
  const page = await deps.drivers.apiKeys.list(tenant, limitOf(query), cursorOf(query));
  return answerJson(
    call,
    200,
    listView(page, (key) => apiKeyView(key, nowMs)),
  );
}

async function revoke(deps: GatewayDeps, call: Call): Promise<Response> {
  const { caller } = call;
  const id = call.param("id");
  const tenant = tenantScope(caller, call.query.get("tenant") ?? null);
  const revoked = isId("key", id) ? await deps.drivers.apiKeys.revoke(tenant, id, Math.floor(deps.clock.now())) : null;
  if (revoked === null) throw new PosthasteError("not-found", "There is no API key of this id.");
  return answerEmpty(call);
}
