/**
 * Tenants' versions as Redis has them now, asked once for all who ask at the same time. While Redis is away, and when it shows
 * an older one, the last one that this process saw is given, 0 when it saw none: events can still be accepted, and wait where
 * a directory that was lost would let them go to nobody.
 */
import { isStoreUnavailable } from "../../../domain/errors.ts";
import { Lru } from "../../../lib/lru.ts";
import { SingleFlight } from "../../../lib/single-flight.ts";
import type { DirectoryReader } from "./reader.ts";
import type { DirectoryStore } from "./store.ts";
import { isAsSeen } from "./store.ts";

/** Versions remembered for the time when Redis is away. */
const VERSIONS_MAX = 10_000;

export function createVersions(options: {
  readonly store: DirectoryStore;
  readonly reader: DirectoryReader;
  /** Told of each version that is newer than memory's, once the answer is known. */
  readonly onNewer: (tenant: string) => void;
}): SingleFlight<string, number> {
  const { store, reader, onNewer } = options;
  const lastByTenant = new Lru<string, number>({ countMax: VERSIONS_MAX });

  async function current(tenant: string): Promise<number> {
    // What is known now, and not when the answer comes: a read may overtake it.
    const seen = reader.seen(tenant);
    const reply = await store.version(tenant);
    if (!isAsSeen(reply, seen)) return (await reader.load(tenant)).known.version;
    if (reply.version > reader.seen(tenant).version) onNewer(tenant);
    return reply.version;
  }

  return new SingleFlight(async (tenant: string) => {
    try {
      const version = Math.max(await current(tenant), lastByTenant.peek(tenant) ?? 0);
      lastByTenant.set(tenant, version);
      return version;
    } catch (error) {
      if (!isStoreUnavailable(error)) throw error;
      return Math.max(lastByTenant.peek(tenant) ?? 0, reader.seen(tenant).version);
    }
  });
}
