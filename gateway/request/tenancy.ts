/**
 * Which tenant a request is for. A tenant key acts for its own tenant only. An operator key acts for any: the body or the
 * query names it in `tenant`; without one it is `default`.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { DEFAULT_TENANT } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";

/** `?tenant=*` in lists: every tenant; operator keys only. */
export const EVERY_TENANT = "*";

/** Throws 403 `wrong-tenant` when a tenant key names another tenant, 422 when body and query disagree. */
export function resolveTenant(caller: ApiKey, inBody: string | null, inQuery: string | null): string {
  if (caller.tenant !== null) {
    requireOwnTenant(caller, inBody);
    requireOwnTenant(caller, inQuery);
    return caller.tenant;
  }
  if (inBody !== null && inQuery !== null && inBody !== inQuery) {
    const errors = [{ pointer: "#/tenant", detail: "differs from the tenant of the query; name it once" }];
    throw new PosthasteError("validation-failed", { detail: "Body and query name different tenants.", errors });
  }
  if (inQuery === EVERY_TENANT) {
    const errors = [{ parameter: "tenant", detail: "must name one tenant; * is for lists" }];
    throw new PosthasteError("invalid-query", { detail: "This call is for one tenant; name it.", errors });
  }
  return inBody ?? inQuery ?? DEFAULT_TENANT;
}

/** The tenant of a list's filter; null for every tenant. */
export function resolveTenants(caller: ApiKey, inQuery: string | null): string | null {
  if (caller.tenant === null && inQuery === EVERY_TENANT) return null;
  return resolveTenant(caller, null, inQuery);
}

/** For things with a unique id. Null means any tenant, for an operator key that names none. */
export function tenantScope(caller: ApiKey, inQuery: string | null): string | null {
  return caller.tenant === null && inQuery === null ? null : resolveTenants(caller, inQuery);
}

export function requireOwnTenant(caller: ApiKey, named: string | null): void {
  if (caller.tenant === null || named === null || named === caller.tenant) return;
  throw new PosthasteError("wrong-tenant", "This API key acts for its own tenant only; leave `tenant` out.");
}

/** What a link needs so that the same caller can follow it. */
export function tenantSuffix(caller: ApiKey, tenant: string): string {
  return caller.tenant === null && tenant !== DEFAULT_TENANT ? `?tenant=${tenant}` : "";
}
