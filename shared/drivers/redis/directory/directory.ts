/**
 * Endpoints in Redis, shared by all processes; those that are in use in memory. A change and its version are one script.
 * Memory serves a read whose version it has; it is read again when a change is announced, when a higher version is asked
 * for, and by age. While Redis is away memory goes on serving, and writes are refused with `store-unavailable`. What
 * Redis loses is written back from memory: by the next use, and by all processes when they hear of it.
 */
import { ENDPOINTS_PER_TENANT_MAX } from "../../../domain/endpoint.ts";
import type { Clock, Entropy, Sealer } from "../../../lib/ambient.ts";
import type { Directory } from "../../../ports/directory.ts";
import type { Notifier } from "../../../ports/notifier.ts";
import { requireMasterKey } from "./master-key.ts";
import { createDirectoryAnswers } from "./answers.ts";
import { createEpochChannel } from "./epochs.ts";
import type { HeldTenant, MemoryBounds } from "./memory.ts";
import { createDirectoryMemory, MEMORY_BOUNDS } from "./memory.ts";
import { openDirectoryReader } from "./reader.ts";
import { createEndpointRecords } from "./endpoint-records.ts";
import { createDirectoryStore } from "./store.ts";
import { createVersions } from "./versions.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisCommands } from "../client/redis-commands.ts";

export interface RedisDirectoryOptions {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  readonly sealer: Sealer;
  /** Each write is announced over Redis; this is where all processes hear of it, until the directory is disposed. */
  readonly notifier: Pick<Notifier, "subscribe">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly endpointsMax?: number;
  /** Tenants without endpoints whose version is kept, in each shard. */
  readonly emptyTenantsMax?: number;
  readonly memory?: MemoryBounds;
  /** Asked where a Redis without any data is found at the start: was this deployment in use before? */
  readonly wasUsed: () => Promise<boolean>;
  /** Told of a Redis that lost data, and of re-reads that failed for any reason but `store-unavailable`. */
  readonly onFault: (error: unknown) => void;
}

export interface RedisDirectory extends Directory, AsyncDisposable {
  /** `<tenant>/<endpoint>` of those in memory whose record does not read back. */
  damaged(): readonly string[];
  /** When the shard was emptied and no process wrote back what it held of it; a day long, else null. */
  lossOf(shard: number): number | null;
}

/**
 * Throws `store-unavailable` when Redis does not answer: a process without any directory is not ready. Throws a plain
 * Error when the endpoints there are encrypted with another master key.
 */
export async function openRedisDirectory(options: RedisDirectoryOptions): Promise<RedisDirectory> {
  const { commands, keys, sealer, notifier, clock, endpointsMax = ENDPOINTS_PER_TENANT_MAX, onFault } = options;
  const store = createDirectoryStore(options);
  await requireMasterKey({ commands, keys, sealer, store });
  const memory = createDirectoryMemory(options.memory ?? MEMORY_BOUNDS);
  const epochs = createEpochChannel({ commands, keys });
  const reader = await openDirectoryReader({ ...options, store, memory, onEpochBegun: epochs.announceEpoch });
  const answers = createDirectoryAnswers({ reader, memory, clock, onFault, onMissing: epochs.announceOlder });
  const versions = createVersions({ store, reader, onNewer: (tenant) => answers.hold(tenant, true) });
  const onWritten = async (tenant: string): Promise<void> => {
    reader.markStale(tenant);
    // Whoever acknowledges a change can write it back, should Redis lose it in a failover a moment later.
    await answers.holdPresent(tenant);
  };
  const listening = await epochs.listen({
    epoch(epoch) {
      if (!reader.isKnownEpoch(epoch)) reader.loadAll();
    },
    tenant: answers.refresh,
    connected: reader.loadAll,
  });
  const unsubscribe = notifier.subscribe((announcement) => {
    // Listeners after this one must not take what is in memory for the present state; `connected` reads it anew.
    if (announcement.kind === "some-were-lost") return memory.tenants().forEach(reader.markStale);
    if (announcement.kind === "event-types-changed") return;
    reader.markStale(announcement.tenant);
    answers.refresh(announcement.tenant);
  });

  return {
    version: (tenant) => versions.askAfresh(tenant),
    peek: answers.peek,
    endpoints: answers.endpoints,
    ...createEndpointRecords({ store, reader, sealer, onFault, endpointsMax, onWritten }),
    lossOf: reader.lossOf,
    damaged: () => memory.tenants().flatMap((tenant) => damagedOf(memory.look(tenant))),
    async [Symbol.asyncDispose]() {
      unsubscribe();
      await listening[Symbol.asyncDispose]();
    },
  };
}

function damagedOf(held: HeldTenant | null): readonly string[] {
  if (held?.isDamaged !== true) return [];
  return [...held.stored].flatMap(([id, { isDamaged }]) => (isDamaged ? [`${held.tenant}/${id.slice(0, 64)}`] : []));
}
