/**
 * Endpoints over HTTP: each question goes to Redis, and no tenant is held in memory. An epoch is begun, and what Redis lost is
 * written back, by programs that stay; until then what depends on it is refused with `store-unavailable`.
 */
import { ENDPOINTS_PER_TENANT_MAX } from "../../domain/endpoint.ts";
import { isStoreUnavailable, storeFault } from "../../domain/errors.ts";
import type { Clock, Sealer } from "../../lib/ambient.ts";
import type { Directory } from "../../ports/directory.ts";
import { recentLoss } from "../redis/directory/epoch.ts";
import { createEndpointRecords } from "../redis/directory/endpoint-records.ts";
import { heldFrom } from "../redis/directory/held.ts";
import { createDirectoryStore } from "../redis/directory/store.ts";
import type { EdgeMemory } from "./memory.ts";
import type { EdgePlace } from "./place.ts";

export interface EdgeDirectoryOptions extends EdgePlace {
  readonly memory: Pick<EdgeMemory, "epochs" | "versions">;
  readonly sealer: Sealer;
  readonly clock: Pick<Clock, "now">;
  readonly endpointsMax?: number;
  readonly emptyTenantsMax?: number;
  readonly onFault: (error: unknown) => void;
}

export function createEdgeDirectory(options: EdgeDirectoryOptions): Directory {
  const { keys, memory, sealer, clock, endpointsMax = ENDPOINTS_PER_TENANT_MAX, onFault } = options;
  const { epochs, versions } = memory;
  const store = createDirectoryStore(options);

  async function load(tenant: string): Promise<void> {
    const shard = keys.shardOf(tenant);
    const epoch = await store.epoch(shard);
    if (epoch === null) throw storeFault(NO_EPOCH);
    epochs.set(shard, epoch);
  }

  /** The highest that was seen here, too: an event must not overtake what its publisher was told. */
  function sawVersion(tenant: string, version: number): number {
    const highest = Math.max(version, versions.peek(tenant) ?? 0);
    versions.set(tenant, highest);
    return highest;
  }

  const seen = (tenant: string) => ({ epoch: epochs.get(keys.shardOf(tenant)) ?? "", version: 0 });
  return {
    ...createEndpointRecords({
      store,
      reader: { seen, load },
      sealer,
      endpointsMax,
      onWritten: () => Promise.resolve(),
      onFault,
    }),
    async version(tenant) {
      try {
        return sawVersion(tenant, (await store.version(tenant)).version);
      } catch (error) {
        if (!isStoreUnavailable(error)) throw error;
        return versions.peek(tenant) ?? 0;
      }
    },
    peek: () => null,
    async endpoints(tenant, atLeast) {
      const read = await store.read(tenant, null);
      const { epoch, version } = read;
      if (epoch === null || version < atLeast || (version === 0 && recentLoss(epoch, clock) !== null)) {
        throw storeFault(`The directory in Redis lost the tenant ${tenant}. ${NO_EPOCH}`);
      }
      sawVersion(tenant, version);
      return heldFrom({ sealer, onFault }, tenant, epoch, read, null, 0).known;
    },
  };
}

const NO_EPOCH = "Gateways with TCP, and processors, begin it and write back what they know.";
