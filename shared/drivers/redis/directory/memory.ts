/** Tenants' endpoints as this process last read them: bounded in tenants and bytes, the longest unused leave first. */
import type { Endpoint } from "../../../domain/endpoint.ts";
import type { TenantEndpoints } from "../../../ports/directory.ts";

export interface Held {
  readonly tenant: string;
  /** The marker that it was read under. */
  readonly marker: string;
  readonly known: TenantEndpoints;
  /** By endpoint id: place and text as Redis has them, to be written back, and not unsealed again while unchanged. */
  readonly stored: ReadonlyMap<string, StoredEndpoint>;
  readonly bytes: number;
  /** `Clock.monotonic` when it was last asked for in Redis. */
  readonly checkedAt: number;
  /** Somebody changed the tenant since it was asked for. */
  readonly isStale: boolean;
}

export interface StoredEndpoint {
  readonly stored: string;
  readonly endpoint: Endpoint;
}

export interface MemoryBounds {
  readonly tenantsMax: number;
  /** Counted by the texts that Redis keeps, once more for what they become. One tenant alone may be larger. */
  readonly bytesMax: number;
}

export const MEMORY_BOUNDS: MemoryBounds = { tenantsMax: 10_000, bytesMax: 128 * 1024 * 1024 };

export interface DirectoryMemory {
  /** Counts as a use. */
  use(tenant: string): Held | null;
  look(tenant: string): Held | null;
  keep(held: Held): void;
  /** False: to keep a further tenant another one would have to leave. */
  hasRoom(): boolean;
  tenants(): readonly string[];
}

export function createDirectoryMemory(bounds: MemoryBounds): DirectoryMemory {
  /** Longest unused first. */
  const heldByTenant = new Map<string, Held>();
  let bytes = 0;
  let newest = "";

  function drop(held: Held): void {
    heldByTenant.delete(held.tenant);
    bytes -= held.bytes;
  }

  return {
    look: (tenant) => heldByTenant.get(tenant) ?? null,
    use(tenant) {
      const held = heldByTenant.get(tenant);
      if (held === undefined) return null;
      if (newest !== tenant) {
        heldByTenant.delete(tenant);
        heldByTenant.set(tenant, held);
        newest = tenant;
      }
      return held;
    },
    keep(held) {
      const old = heldByTenant.get(held.tenant);
      if (old !== undefined) bytes -= old.bytes;
      // Where it was in the order: a re-read is not a use. A new one is at the end.
      heldByTenant.set(held.tenant, held);
      if (old === undefined) newest = held.tenant;
      bytes += held.bytes;
      for (const oldest of heldByTenant.values()) {
        const isWithin = heldByTenant.size <= bounds.tenantsMax && bytes <= bounds.bytesMax;
        if (isWithin) return;
        if (oldest.tenant !== held.tenant) drop(oldest);
      }
    },
    hasRoom: () => heldByTenant.size < bounds.tenantsMax && bytes < bounds.bytesMax,
    tenants: () => [...heldByTenant.keys()],
  };
}
