/** Finds the endpoint that a path names, for the caller's tenant. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { isId } from "@posthaste/shared/domain/id.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest } from "../request/handle.ts";
import { resolveTenant } from "../request/tenancy.ts";

export async function findEndpoint(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Endpoint> {
  const { tenant, id } = namedEndpoint(admitted);
  const endpoint = await deps.drivers.directory.find(tenant, id);
  if (endpoint === null) throw noEndpoint();
  return endpoint;
}

/** Throws 404 for what cannot be an endpoint's id, so that no store is asked. */
export function namedEndpoint(admitted: AdmittedRequest): { tenant: string; id: string } {
  const tenant = resolveTenant(admitted.caller, null, admitted.query.get("tenant") ?? null);
  const id = admitted.param("id");
  if (!isId("ep", id)) throw noEndpoint();
  return { tenant, id };
}

export function noEndpoint(): PosthasteError {
  return new PosthasteError("not-found", "The tenant has no endpoint of this id.");
}

/** The refusal of what is sent to an active endpoint alone, with the remedy. */
export function notActive({ status, statusReason }: Endpoint): PosthasteError {
  const remedy = status === "paused" ? '{"paused":false}' : '{"disabled":false}';
  const why = statusReason === null ? "" : ` (${statusReason})`;
  return new PosthasteError("conflict", `The endpoint is ${status}${why}; PATCH it with ${remedy} first.`);
}
