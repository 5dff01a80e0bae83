/** The endpoint that a path names, for the tenant that the caller acts for. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { isId } from "@posthaste/shared/domain/id.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Call } from "../request/handle.ts";
import { resolveTenant } from "../request/tenancy.ts";

export async function findEndpoint(deps: GatewayDeps, call: Call): Promise<Endpoint> {
  const { tenant, id } = namedEndpoint(call);
  const endpoint = await deps.drivers.directory.find(tenant, id);
  if (endpoint === null) throw noEndpoint();
  return endpoint;
}

/** Throws 404 for what cannot be an endpoint's id, so that no store is asked. */
export function namedEndpoint(call: Call): { tenant: string; id: string } {
  const tenant = resolveTenant(call.caller, null, call.query.get("tenant") ?? null);
  const id = call.param("id");
  if (!isId("ep", id)) throw noEndpoint();
  return { tenant, id };
}

export function noEndpoint(): PosthasteError {
  return new PosthasteError("not-found", "The tenant has no endpoint of this id.");
}
