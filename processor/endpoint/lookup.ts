/** Finds one endpoint in a tenant's list in constant time; the index lives as long as the list it was made from. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Directory, TenantEndpoints } from "@posthaste/shared/ports/directory.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Entry } from "./entry.ts";

/** Null when there is no such endpoint (any more). */
export interface EndpointLookup {
  /** As the directory's memory has it; undefined when only `find` can tell. */
  peek(tenant: string, endpointId: string): Endpoint | null | undefined;
  /** Rejects when the directory cannot be read, or the endpoint's own record in it. */
  find(tenant: string, endpointId: string): Promise<Endpoint | null>;
}

export function createEndpointLookup(directory: Pick<Directory, "peek" | "endpoints">): EndpointLookup {
  const indexes = new WeakMap<TenantEndpoints, Map<string, Endpoint>>();
  /** Undefined: there is one, and what it is cannot be told. */
  const pick = (list: TenantEndpoints, endpointId: string): Endpoint | null | undefined => {
    let index = indexes.get(list);
    if (index === undefined) {
      index = new Map(list.endpoints.map((endpoint) => [endpoint.id, endpoint]));
      indexes.set(list, index);
    }
    const found = index.get(endpointId);
    return found === undefined && list.unreadable?.includes(endpointId) !== true ? null : found;
  };
  return {
    peek(tenant, endpointId) {
      const list = directory.peek(tenant, 0);
      return list === null ? undefined : pick(list, endpointId);
    },
    async find(tenant, endpointId) {
      const found = pick(await directory.endpoints(tenant, 0), endpointId);
      if (found !== undefined) return found;
      const detail = `The record of the endpoint ${endpointId} does not read back.`;
      throw new PosthasteError("store-unavailable", { detail, isDamage: true });
    },
  };
}

export const ENDPOINT_DELETED: Inactive = { kind: "inactive", state: "dead", reason: "the endpoint was deleted" };

type Inactive = Extract<Entry, { kind: "inactive" }>;

export type CurrentEndpoint = Inactive | { readonly kind: "active"; readonly endpoint: Endpoint };

/**
 * The endpoint as it is now, or why it takes no deliveries. Nobody waits here: while the directory answers later, or not
 * at all, the endpoint is as it was `before`.
 */
export function currentEndpoint(
  lookup: EndpointLookup,
  { tenant, endpointId }: Pick<PendingDelivery, "tenant" | "endpointId">,
  before: Endpoint,
): CurrentEndpoint {
  const found = lookup.peek(tenant, endpointId);
  // So that memory has it for the next one who looks.
  if (found === undefined) lookup.find(tenant, endpointId).catch(() => undefined);
  const endpoint = found === undefined ? before : found;
  if (endpoint === null) return ENDPOINT_DELETED;
  if (endpoint.status === "active") return { kind: "active", endpoint };
  const reason = endpoint.status === "paused" ? "the endpoint is paused" : "the endpoint is disabled";
  return { kind: "inactive", state: endpoint.status, reason: endpoint.statusReason ?? reason };
}
