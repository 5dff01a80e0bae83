/**
 * Endpoints in Redis, shared by all processes; those that are in use in memory. A change and its version are one script.
 * Memory serves a read whose version it has; it is read again when a change is announced, when a higher version is asked
 * for, and by age. While Redis is away memory goes on serving, and writes are refused with `store-unavailable`. What
 * Redis loses is written back from memory: by the next use, and by all processes when they hear of it.
 */
import { ENDPOINTS_PER_TENANT_MAX } from "../../../domain/endpoint.ts";
import { PosthasteError, storeFault } from "../../../domain/errors.ts";
import type { Clock, Entropy, Sealer } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { Page } from "../../../ports/dead-letters.ts";
import type { Directory, EndpointFilter } from "../../../ports/directory.ts";
import type { Notifier } from "../../../ports/notifier.ts";
import { requireMasterKey } from "./master-key.ts";
import type { DirectoryAnswers } from "./answers.ts";
import { createDirectoryAnswers } from "./answers.ts";
import { createEpochChannel } from "./epochs.ts";
import type { HeldTenant, MemoryBounds } from "./memory.ts";
import { createDirectoryMemory, MEMORY_BOUNDS } from "./memory.ts";
import type { DirectoryReader } from "./reader.ts";
import { openDirectoryReader } from "./reader.ts";
import { endpointOf, endpointText, readableEndpoint, statusOf } from "./record.ts";
import type { DirectoryStore, ListedEndpoint, Seen } from "./store.ts";
import { createDirectoryStore, isAsSeen } from "./store.ts";
import { createVersions } from "./versions.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisCommands } from "../client/redis-commands.ts";

/** A write or a look-up that meets a loss waits for the repair and is made again, at most so often in all. */
const ROUNDS_MAX = 3;
/** An update that finds the endpoint changed under its hands begins again, at most so often. */
const UPDATE_ROUNDS_MAX = 32;
/** As many as a tenant may have: its endpoints of a status are one page. */
const LOOKED_MAX = 1000;

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
  const write = createWrite(reader, answers);
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
    reader.markStale(announcement.tenant);
    answers.refresh(announcement.tenant);
  });

  return {
    version: (tenant) => versions.askAfresh(tenant),
    peek: answers.peek,
    endpoints: answers.endpoints,
    async find(tenant, endpointId) {
      const stored = await findStored(store, reader, tenant, endpointId);
      return stored === null ? null : endpointOf(tenant, endpointId, stored, sealer);
    },
    async list(filter, limit, cursor) {
      const { rows, next } = await listStored(store, filter, limit, cursor);
      return { rows: rows.flatMap((row) => readableEndpoint(row, sealer, onFault) ?? []), next };
    },
    async create(endpoint) {
      const text = endpointText(endpoint, sealer);
      const { tenant } = endpoint;
      const answer = await write(tenant, (seen) => store.create(seen, endpoint, text, endpointsMax));
      if (answer === "limit") {
        throw new PosthasteError("limit-reached", `A tenant has at most ${endpointsMax} endpoints. Remove one first.`);
      }
      assert(answer === "ok", "an endpoint is created once");
    },
    update: createUpdate({ store, reader, write, sealer }),
    async remove(tenant, endpointId) {
      return (await write(tenant, (seen) => store.remove(seen, tenant, endpointId))) === "ok";
    },
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

/** By status, a page is picked out of `LOOKED_MAX` endpoints at most. */
async function listStored(
  store: DirectoryStore,
  { tenant, status }: EndpointFilter,
  limit: number,
  cursor: string | null,
): Promise<Page<ListedEndpoint>> {
  if (status === undefined) return store.list(tenant, limit, cursor);
  const looked = await store.list(tenant, LOOKED_MAX, cursor);
  const found = looked.rows.filter(({ stored }) => statusOf(stored) === status);
  const rows = found.slice(0, limit);
  return { rows, next: found.length > limit ? (rows.at(-1)?.cursor ?? null) : looked.next };
}

/** Writes only over what was read, and begins again when another write came between. */
function createUpdate(deps: {
  readonly store: DirectoryStore;
  readonly reader: DirectoryReader;
  readonly write: ReturnType<typeof createWrite>;
  readonly sealer: Sealer;
}): Directory["update"] {
  const { store, reader, write, sealer } = deps;
  return async (tenant, endpointId, change) => {
    for (let round = 0; round < UPDATE_ROUNDS_MAX; round++) {
      const stored = await findStored(store, reader, tenant, endpointId);
      if (stored === null) return null;
      const old = endpointOf(tenant, endpointId, stored, sealer);
      const endpoint = change(old);
      const isSame = endpoint.id === endpointId && endpoint.tenant === tenant;
      assert(isSame && endpoint.createdAtMs === old.createdAtMs, "a change keeps the endpoint's name and age");
      // Nothing to write, and so nothing that would make others begin again.
      if (endpoint === old) return endpoint;
      const text = endpointText(endpoint, sealer);
      const answer = await write(tenant, (seen) => store.update(seen, tenant, endpointId, stored, text));
      if (answer === "ok") return endpoint;
      if (answer === "none") return null;
    }
    throw new PosthasteError("overloaded", "The endpoint is being changed too often at the moment. Try again.");
  };
}

/** Place and text of the endpoint; an answer of a Redis that lost what was seen is not believed. */
async function findStored(
  store: DirectoryStore,
  reader: DirectoryReader,
  tenant: string,
  endpointId: string,
): Promise<string | null> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const seen = reader.seen(tenant);
    const reply = await store.find(tenant, endpointId);
    if (isAsSeen(reply, seen)) return reply.stored;
    await reader.load(tenant);
  }
  throw underRepair();
}

/** Makes a write, again after a loss was repaired. */
function createWrite(reader: DirectoryReader, answers: DirectoryAnswers) {
  return async (tenant: string, attempt: (seen: Seen) => Promise<string>): Promise<string> => {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const answer = await attempt(reader.seen(tenant));
      if (answer === "ok") {
        reader.markStale(tenant);
        // Whoever acknowledges a change can write it back, should Redis lose it in a failover a moment later.
        await answers.holdPresent(tenant);
      }
      if (answer !== "lost") return answer;
      await reader.load(tenant);
    }
    throw underRepair();
  };
}

function underRepair(): PosthasteError {
  return storeFault("The directory in Redis was lost and is being repaired.");
}
