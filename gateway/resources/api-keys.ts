/** `/v1/api-keys`: create (the key is shown once), list, revoke. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { hashApiKey, keyHint, keyStatus, NewApiKey, newApiKeySecret } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { isId, newId } from "@posthaste/shared/domain/id.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import type { ApiKeyView } from "../answers/api-keys.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { BodyRule, AdmittedRequest, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { requireInTime } from "../request/context.ts";
import { grantOf } from "./api-key-grant.ts";
import { instantText, listView } from "./view-parts.ts";
import { readPage } from "../request/cursors.ts";
import { ofTenant, ofTenants, paged } from "../request/query.ts";
import { answerEmpty, answerJson, bodyJson } from "../request/handle.ts";
import { resolveTenant, resolveTenants, tenantScope } from "../request/tenancy.ts";
import { validateStrictly } from "../request/validation.ts";

const ALL = "/v1/api-keys";
const body: BodyRule = {
  schema: NewApiKey,
  bytesMax: MANAGEMENT_BYTES_MAX,
  isOptional: false,
  takesCloudEvents: false,
};

export function apiKeyRoutes(deps: GatewayDeps): readonly Route[] {
  const shared = { scope: "manage", query: ofTenants } as const;
  const list = { ...ofTenants, ...paged };
  return [
    { ...shared, method: "POST", path: ALL, query: ofTenant, body, handle: (admitted) => create(deps, admitted) },
    { ...shared, method: "GET", path: ALL, query: list, body: null, handle: (admitted) => listKeys(deps, admitted) },
    { ...shared, method: "DELETE", path: `${ALL}/:id`, body: null, handle: (admitted) => revoke(deps, admitted) },
  ];
}

async function create(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { caller } = admitted;
  const wish = validateStrictly(NewApiKey, bodyJson(admitted));
  const tenant = resolveTenant(caller, wish.tenant ?? null, admitted.query.get("tenant") ?? null);
  const nowMs = Math.floor(deps.clock.now());
  const grant = grantOf(caller, wish, tenant, nowMs);
  requireInTime(admitted.context);
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
  return answerJson(admitted, 201, { ...apiKeyView(key, nowMs), key: secret });
}

async function listKeys(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { query } = admitted;
  const tenant = resolveTenants(admitted.caller, query.get("tenant") ?? null);
  if (tenant === OPERATOR_TENANT) {
    const errors = [{ parameter: "tenant", detail: "operator keys stand in the list of all: tenant=*" }];
    throw new PosthasteError("invalid-query", { detail: "Operator keys are listed with tenant=*.", errors });
  }
  const nowMs = deps.clock.now();
  const page = await readPage(deps, admitted, { tenant }, (limit, cursor) =>
    deps.drivers.apiKeys.list(tenant, limit, cursor),
  );
  return answerJson(
    admitted,
    200,
    listView(page, (key) => apiKeyView(key, nowMs)),
  );
}

async function revoke(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { caller } = admitted;
  const id = admitted.param("id");
  const tenant = tenantScope(caller, admitted.query.get("tenant") ?? null);
  const revoked = isId("key", id) ? await deps.drivers.apiKeys.revoke(tenant, id, Math.floor(deps.clock.now())) : null;
  if (revoked === null) throw new PosthasteError("not-found", "There is no API key of this id.");
  return answerEmpty(admitted);
}

/** As the API shows it: never the key itself, never its hash. */
function apiKeyView(key: ApiKey, nowMs: number): ApiKeyView {
  const { rateLimit } = key;
  return {
    id: key.id,
    name: key.name,
    tenant: key.tenant ?? OPERATOR_TENANT,
    hint: key.hint,
    scopes: key.scopes,
    rate_limit:
      rateLimit === null
        ? null
        : {
            limit: rateLimit.limit,
            window_ms: rateLimit.windowMs,
            failure_mode: rateLimit.failureMode,
            policy: rateLimit.policy ?? "exact",
          },
    status: keyStatus(key, nowMs),
    created_at: instantText(key.createdAtMs),
    expires_at: instantText(key.expiresAtMs),
    revoked_at: instantText(key.revokedAtMs),
  };
}
