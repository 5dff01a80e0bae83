/** Finds one endpoint in a tenant's list in constant time; the index lives as long as the list it was made from. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Directory, TenantEndpoints } from "@posthaste/shared/ports/directory.ts";

export interface EndpointLookup {
  /** Null when there is no such endpoint (any more). Synchronous while the directory answers from memory. */
  find(tenant: string, endpointId: string): Endpoint | null | Promise<Endpoint | null>;
}

export function createEndpointLookup(directory: Pick<Directory, "endpoints">): EndpointLookup {
  const indexes = new WeakMap<TenantEndpoints, Map<string, Endpoint>>();
  const pick = (list: TenantEndpoints, endpointId: string) => {
    let index = indexes.get(list);
    if (index === undefined) {
      index = new Map(list.endpoints.map((endpoint) => [endpoint.id, endpoint]));
      indexes.set(list, index);
    }
    return index.get(endpointId) ?? null;
  };
  return {
    find(tenant, endpointId) {
      const list = directory.endpoints(tenant, 0);
      return list instanceof Promise ? list.then((known) => pick(known, endpointId)) : pick(list, endpointId);
    },
  };
}
