/**
 * Tenants' versions as Redis has them now, asked once for all who ask at the same time. While Redis is away the last one
 * that this process saw is given, 0 when it saw none, so that events can still be accepted.
 */
import { isStoreUnavailable } from "../../../domain/errors.ts";
import type { DirectoryReader } from "./reader.ts";
import type { DirectoryStore } from "./store.ts";
import { isAsSeen } from "./store.ts";
import type { Turns } from "./change-queue.ts";
import { createTurns } from "./change-queue.ts";

/** Versions remembered for the time when Redis is away. */
const VERSIONS_MAX = 10_000;

export function createVersions(options: {
  readonly store: DirectoryStore;
  readonly reader: DirectoryReader;
  /** Told of each version that is newer than memory's, once the answer is known. */
  readonly onNewer: (tenant: string) => void;
}): Turns<number> {
  const { store, reader, onNewer } = options;
  const lastByTenant = new Map<string, number>();

  function remember(tenant: string, version: number): void {
    lastByTenant.delete(tenant);
    lastByTenant.set(tenant, version);
    const oldest = lastByTenant.keys().next();
    if (lastByTenant.size > VERSIONS_MAX && oldest.done !== true) lastByTenant.delete(oldest.value);
  }

  async function current(tenant: string): Promise<number> {
    // What is known now, and not when the answer comes: a read may overtake it.
    const seen = reader.seen(tenant);
    const reply = await store.version(tenant);
    if (!isAsSeen(reply, seen)) return (await reader.load(tenant)).known.version;
    if (reply.version > reader.seen(tenant).version) onNewer(tenant);
    return reply.version;
  }

  return createTurns(async (tenant: string) => {
    try {
      const version = await current(tenant);
      remember(tenant, version);
      return version;
    } catch (error) {
      if (!isStoreUnavailable(error)) throw error;
      return Math.max(lastByTenant.get(tenant) ?? 0, reader.seen(tenant).version);
    }
  });
}
