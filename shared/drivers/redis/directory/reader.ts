/**
 * Keeps memory in step with Redis, and Redis with memory. A re-read that shows another epoch, none, or a lower version
 * than memory holds is refused: memory is kept, the fault is told, and memory is written back before anything else.
 */
import type { PosthasteError } from "../../../domain/errors.ts";
import { storeFault } from "../../../domain/errors.ts";
import type { Clock, Entropy, Sealer } from "../../../lib/ambient.ts";
import { freshEpoch, recentLoss } from "./epoch.ts";
import { heldFrom } from "./held.ts";
import type { DirectoryMemory, HeldTenant } from "./memory.ts";
import { isSealedCurrently, sealedAnew } from "./record.ts";
import type { DirectoryStore, Seen } from "./store.ts";
import { isAsSeen } from "./store.ts";
import { SingleFlight } from "../../../lib/single-flight.ts";
import type { DirectoryScan } from "./scan.ts";
import { createDirectoryScan } from "./scan.ts";
import type { KeySpace } from "../client/key-space.ts";

export interface DirectoryReader {
  /** What a write or a read of the tenant goes by. */
  seen(tenant: string): Seen;
  /** Redis's state of a moment after the call, in memory. Repairs what Redis lost. Rejects with `store-unavailable`. */
  load(tenant: string): Promise<HeldTenant>;
  isKnownEpoch(epoch: string): boolean;
  /** When the shard was last emptied, for a day; else null. */
  lossOf(shard: number): number | null;
  /**
   * Compares every tenant in memory with Redis in the background, one after the other, and repairs what Redis lost. When
   * Redis goes away meanwhile it begins anew with the next answer.
   */
  loadAll(): void;
  /** The tenant was changed: what is in memory, or on its way there, is old. */
  markStale(tenant: string): void;
}

export interface DirectoryReaderDeps {
  readonly store: DirectoryStore;
  readonly memory: DirectoryMemory;
  readonly keys: KeySpace;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Asked when a shard has no epoch at the start: was this deployment in use before? Then its Redis was emptied. */
  readonly wasUsed: () => Promise<boolean>;
  /** Told of each epoch that this process made for a shard without one. */
  readonly onEpochBegun: (epoch: string) => void;
  readonly onFault: (error: unknown) => void;
}

/** Reads of one `load`; each but the last may meet a loss and repair it. */
const ROUNDS_MAX = 4;

/** Makes the epochs of all shards where there are none. Throws `store-unavailable`. */
export async function openDirectoryReader(deps: DirectoryReaderDeps): Promise<DirectoryReader> {
  const { store, memory, keys, clock, onFault } = deps;
  const shards = Array.from({ length: keys.shards }, (_, shard) => shard);
  const epochs = await Promise.all(shards.map((shard) => openEpoch(deps, shard)));
  const loading = new Map<string, { isChanged: boolean }>();
  const loads = new SingleFlight(loadOnce);
  const scan = createDirectoryScan({ tenants: memory.tenants, load: (tenant) => loads.askAfresh(tenant), onFault });
  const recover = createRecovery(deps, epochs, scan);

  function seen(tenant: string): Seen {
    const held = memory.look(tenant);
    return {
      epoch: held?.epoch ?? epochs[keys.shardOf(tenant)] ?? "",
      version: held?.known.version ?? 0,
    };
  }

  async function loadOnce(tenant: string): Promise<HeldTenant> {
    const load = { isChanged: false };
    loading.set(tenant, load);
    try {
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const held = memory.look(tenant);
        const expected = seen(tenant);
        const checkedAt = clock.monotonic();
        // Whoever mends a record by hand raises no version.
        const read = await store.read(tenant, held === null || held.isDamaged ? null : expected);
        if (isAsSeen(read, expected)) {
          const next = heldFrom(deps, tenant, expected.epoch, read, held, checkedAt);
          memory.keep({ ...next, isStale: load.isChanged });
          scan.goOn();
          return next;
        }
        await recover(tenant, held, read.epoch);
      }
      throw storeFault("The directory in Redis keeps changing under repair.");
    } catch (error) {
      deferNextLoad(tenant);
      throw error;
    } finally {
      if (loading.get(tenant) === load) loading.delete(tenant);
    }
  }

  /** While Redis is away it is asked again by age, and not for every event. */
  function deferNextLoad(tenant: string): void {
    const held = memory.look(tenant);
    if (held !== null) memory.keep({ ...held, checkedAt: clock.monotonic(), isStale: false });
  }

  return {
    seen,
    load: (tenant) => loads.askAfresh(tenant),
    isKnownEpoch: (epoch) => epochs.includes(epoch),
    lossOf: (shard) => recentLoss(epochs[shard] ?? "", clock),
    loadAll: () => scan.begin(),
    markStale(tenant) {
      const load = loading.get(tenant);
      if (load !== undefined) load.isChanged = true;
      const held = memory.look(tenant);
      if (held !== null) memory.keep({ ...held, isStale: true });
    },
  };
}

/** Follows the epochs of the shards, and writes back from memory what a Redis that lost data no longer has. */
function createRecovery(deps: DirectoryReaderDeps, epochs: string[], scan: DirectoryScan) {
  const { store, memory, keys, sealer, onFault } = deps;

  /** The shard began anew: all that memory has is compared, and written back where it is missing. */
  function adopt(shard: number, epoch: string): void {
    if (epochs[shard] === epoch) return;
    epochs[shard] = epoch;
    onFault(storeFault("The directory in Redis lost its epoch: it was emptied."));
    scan.begin();
  }

  return async (tenant: string, held: HeldTenant | null, seenEpoch: string | null): Promise<void> => {
    const shard = keys.shardOf(tenant);
    if (held === null || held.known.version === 0) {
      const epoch = seenEpoch ?? (await beginEpoch(deps, true, (fresh) => store.open(shard, fresh)));
      // That it had no endpoints before the loss is known here.
      if (held !== null) memory.keep({ ...held, epoch, isKnownEmpty: true });
      return adopt(shard, epoch);
    }
    onFault(lossOf(tenant));
    const epoch = await beginEpoch(deps, true, (fresh) => store.repair(sealedCurrently(held, sealer), fresh));
    memory.keep({ ...held, epoch });
    adopt(shard, epoch);
  };
}

/**
 * As it is written back: memory may be from before everything was sealed anew, and what nobody looks for any more would be
 * under the previous key again.
 */
function sealedCurrently(held: HeldTenant, sealer: Sealer): HeldTenant {
  const stored = Array.from(held.stored, ([id, row]) => {
    if (isSealedCurrently(id, row.stored, sealer)) return [id, row] as const;
    return [id, { ...row, stored: sealedAnew(id, row.stored, sealer) ?? row.stored }] as const;
  });
  return { ...held, stored: new Map(stored) };
}

/** That of the shard; where there is none, the first one of a new deployment, or one that notes the loss. */
async function openEpoch(deps: DirectoryReaderDeps, shard: number): Promise<string> {
  const { store, onFault } = deps;
  const found = await store.epoch(shard);
  if (found !== null) return found;
  const isLoss = await deps.wasUsed();
  if (isLoss) onFault(storeFault("Redis was emptied: the endpoints that it held are not known to this process."));
  return await beginEpoch(deps, isLoss, (fresh) => store.open(shard, fresh));
}

/** The epoch that holds after `step`, which takes the fresh one where there is none. */
async function beginEpoch(
  { entropy, clock, onEpochBegun }: DirectoryReaderDeps,
  isLoss: boolean,
  step: (fresh: string) => Promise<string>,
): Promise<string> {
  const fresh = freshEpoch(entropy, clock, isLoss);
  const epoch = await step(fresh);
  if (epoch === fresh) onEpochBegun(epoch);
  return epoch;
}

function lossOf(tenant: string): PosthasteError {
  return storeFault(
    `Redis lost endpoints of the tenant ${tenant} (emptied, or failed over to an older state); writing them back from memory.`,
  );
}
