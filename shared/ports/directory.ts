/**
 * Tenants' endpoints. Each change raises the tenant's version in the same atomic step; whoever asks for at least that
 * version sees the change (promise 9). Reads for fan-out come from memory whenever it is new enough.
 */
import type { Endpoint, EndpointStatus } from "../domain/endpoint.ts";
import type { Page } from "./dead-letters.ts";

export interface TenantEndpoints {
  readonly version: number;
  readonly endpoints: readonly Endpoint[];
  /**
   * Ids of endpoints whose record does not read back and of which nothing else is known. What may be meant for them waits
   * until somebody has mended them. Left out when there are none.
   */
  readonly unreadable?: readonly string[];
  /** Epoch ms. The store lost what it held before, endpoints of this tenant perhaps among it. Left out when nothing was lost. */
  readonly lostAtMs?: number;
}

const DAMAGED_NAMED_MAX = 5;

/** For /readyz: one sentence that names some of the endpoints whose records do not read back; none when there are none. */
export function damagedEndpoints(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const some = names.slice(0, DAMAGED_NAMED_MAX).join(", ");
  const more = names.length > DAMAGED_NAMED_MAX ? `, and ${names.length - DAMAGED_NAMED_MAX} more` : "";
  return [
    `The records of these endpoints do not read back: ${some}${more}. What may be meant for them waits; mend or delete them.`,
  ];
}

/** For /readyz: that endpoints were lost, since when, and what becomes of their events; none when `atMs` is null. */
export function lostEndpoints(atMs: number | null): readonly string[] {
  if (atMs === null) return [];
  const at = new Date(atMs).toISOString();
  return [
    `Redis was emptied, which was found at ${at}. Endpoints that no process remembered are lost: their events and retries wait, for about a day. Restore a back-up, or create the endpoints again.`,
  ];
}

/** What accept and fan-out ask. */
export interface DirectoryReads {
  /** The tenant's version now; 0 for a tenant that never had an endpoint. Cheap: called on each accept. */
  version(tenant: string): Promise<number>;
  /** What `endpoints` would answer, when memory is new enough for it; null when only `endpoints` can tell. */
  peek(tenant: string, atLeastVersion: number): TenantEndpoints | null;
  /** All endpoints of the tenant at `atLeastVersion` or newer. */
  endpoints(tenant: string, atLeastVersion: number): Promise<TenantEndpoints>;
}

export interface EndpointFilter {
  /** Null: all tenants (operator). */
  readonly tenant: string | null;
  readonly status?: EndpointStatus;
}

export interface Directory extends DirectoryReads {
  /** Rejects with `store-unavailable` when its record does not read back. */
  find(tenant: string, endpointId: string): Promise<Endpoint | null>;
  /** Leaves out what does not read back. Oldest first. One call looks at a bounded number of endpoints: a page may be short, or empty, with a cursor. */
  list(filter: EndpointFilter, limit: number, cursor: string | null): Promise<Page<Endpoint>>;
  /** Throws `limit-reached` past `ENDPOINTS_PER_TENANT_MAX`. Durable when it resolves. */
  create(endpoint: Endpoint): Promise<void>;
  /** Reads, changes and writes atomically; null when there is no such endpoint. `change` must be pure. Rejects as `find`. */
  update(tenant: string, endpointId: string, change: (endpoint: Endpoint) => Endpoint): Promise<Endpoint | null>;
  /** True when there was one. */
  remove(tenant: string, endpointId: string): Promise<boolean>;
}
