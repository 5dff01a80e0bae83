/** Tenants' endpoints as this process last read them: bounded in tenants and bytes, the longest unused leave first. */
import type { Endpoint } from "../../../domain/endpoint.ts";
import { Lru } from "../../../lib/lru.ts";
import type { TenantEndpoints } from "../../../ports/directory.ts";

export interface HeldTenant {
  readonly tenant: string;
  /** The epoch that it was read under. */
  readonly epoch: string;
  readonly known: TenantEndpoints;
  /** By endpoint id: place and text as Redis has them, to be written back, and not unsealed again while unchanged. */
  readonly stored: ReadonlyMap<string, StoredEndpoint>;
  readonly bytes: number;
  /** `Clock.monotonic` when it was last asked for in Redis. */
  readonly checkedAt: number;
  /** Somebody changed the tenant since it was asked for. */
  readonly isStale: boolean;
  /** A record of it does not read back. */
  readonly isDamaged: boolean;
  /** It has no endpoints, and had none before the loss that its epoch tells of. */
  readonly isKnownEmpty: boolean;
}

export interface StoredEndpoint {
  readonly stored: string;
  /** Null: what is stored does not read back, and never did here. */
  readonly endpoint: Endpoint | null;
  /** What is stored does not read back; the endpoint is as it was read before. */
  readonly isDamaged: boolean;
}

export interface MemoryBounds {
  readonly tenantsMax: number;
  /** Counted by the texts that Redis keeps, once more for what they become. One tenant alone may be larger. */
  readonly bytesMax: number;
}

export const MEMORY_BOUNDS: MemoryBounds = { tenantsMax: 10_000, bytesMax: 128 * 1024 * 1024 };

export interface DirectoryMemory {
  /** Counts as a use. */
  use(tenant: string): HeldTenant | null;
  look(tenant: string): HeldTenant | null;
  keep(held: HeldTenant): void;
  /** False: to keep a further tenant another one would have to leave. */
  hasRoom(): boolean;
  tenants(): readonly string[];
}

export function createDirectoryMemory(bounds: MemoryBounds): DirectoryMemory {
  const heldByTenant = new Lru<string, HeldTenant>({
    countMax: bounds.tenantsMax,
    weight: { max: bounds.bytesMax, of: ({ bytes }) => bytes },
  });
  return {
    look: (tenant) => heldByTenant.peek(tenant) ?? null,
    use: (tenant) => heldByTenant.get(tenant) ?? null,
    // A re-read is not a use.
    keep: (held) => heldByTenant.replace(held.tenant, held),
    hasRoom: () => heldByTenant.size < bounds.tenantsMax && heldByTenant.weight < bounds.bytesMax,
    tenants: () => [...heldByTenant.keys()],
  };
}
