/**
 * Whether a question for a tenant's endpoints is answered from memory, by Redis, or not at all; and what is read although
 * nobody waits for it. Nothing here runs by the clock alone: a process that is asked nothing asks Redis nothing.
 */
import type { PosthasteError } from "../../../domain/errors.ts";
import { isDamage, isStoreUnavailable, storeFault } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { DirectoryReads, TenantEndpoints } from "../../../ports/directory.ts";
import { recentLoss } from "./epoch.ts";
import type { DirectoryMemory, HeldTenant } from "./memory.ts";
import type { DirectoryReader } from "./reader.ts";

/** Memory of this age is read again when it is used: a lost announcement costs no more. */
export const DIRECTORY_AGE_MS_MAX = 3000;
/** Tenants of which it is remembered when they were told of, or read without being asked for. */
const TIMES_MAX = 1000;

export interface DirectoryAnswers extends Pick<DirectoryReads, "peek" | "endpoints"> {
  /** Reads the tenant again in the background when it is in memory. */
  refresh(tenant: string): void;
  /**
   * Takes the tenant into memory in the background while there is room, or reads it again: a process that saw a version
   * can then tell that Redis lost it, and write it back. `isOften`: at most once in `DIRECTORY_AGE_MS_MAX`.
   */
  hold(tenant: string, isOften: boolean): void;
  /** Resolves when memory has the state of after the call; or has no room for it, or Redis went away meanwhile. */
  holdPresent(tenant: string): Promise<void>;
}

export function createDirectoryAnswers(options: {
  readonly reader: DirectoryReader;
  readonly memory: DirectoryMemory;
  readonly clock: Clock;
  readonly onFault: (error: unknown) => void;
  /** Told of a tenant whose endpoints are refused as too old. */
  readonly onMissing: (tenant: string) => void;
}): DirectoryAnswers {
  const { reader, memory, clock, onFault, onMissing } = options;
  const isTimeToHold = createIntervals(clock);
  const isTimeToTell = createIntervals(clock);

  function load(tenant: string): void {
    reader.load(tenant).catch((error: unknown) => {
      if (!isStoreUnavailable(error) || isDamage(error)) onFault(error);
    });
  }

  /** Of a Redis that was emptied lately nobody can tell whether the tenant had endpoints before. */
  function isLost({ known, epoch, isKnownEmpty }: HeldTenant): boolean {
    return known.version === 0 && !isKnownEmpty && recentLoss(epoch, clock) !== null;
  }

  async function loadAtLeast(tenant: string, atLeast: number): Promise<TenantEndpoints> {
    const held = await reader.load(tenant);
    const { known } = held;
    if (known.version >= atLeast && !isLost(held)) return known;
    const error = known.version < atLeast ? tooOld(tenant, known.version, atLeast) : notKnown(tenant);
    // Each event of the tenant comes by here, again and again.
    if (isTimeToTell(tenant)) {
      onFault(error);
      onMissing(tenant);
    }
    throw error;
  }

  function peek(tenant: string, atLeast: number): TenantEndpoints | null {
    const held = memory.use(tenant);
    if (held === null || held.known.version < atLeast || isLost(held)) return null;
    if (!held.isStale && clock.monotonic() - held.checkedAt < DIRECTORY_AGE_MS_MAX) return held.known;
    // Whoever names no version gets the present one; for all others what they name is enough.
    if (atLeast === 0) return null;
    load(tenant);
    return held.known;
  }

  return {
    peek,
    async endpoints(tenant, atLeast) {
      const known = peek(tenant, atLeast);
      if (known !== null) return known;
      const held = memory.look(tenant);
      const isInMemory = held !== null && held.known.version >= atLeast && !isLost(held);
      return isInMemory ? loadOr(reader, held) : loadAtLeast(tenant, atLeast);
    },
    refresh(tenant) {
      if (memory.look(tenant) !== null) load(tenant);
    },
    hold(tenant, isOften) {
      const isWanted = memory.look(tenant) !== null || memory.hasRoom();
      if (isWanted && (!isOften || isTimeToHold(tenant))) load(tenant);
    },
    async holdPresent(tenant) {
      if (memory.look(tenant) === null && !memory.hasRoom()) return;
      await reader.load(tenant).catch((error: unknown) => {
        if (!isStoreUnavailable(error) || isDamage(error)) onFault(error);
      });
    },
  };
}

/** The present state, or what is in memory while Redis is away. */
async function loadOr(reader: DirectoryReader, held: HeldTenant): Promise<TenantEndpoints> {
  try {
    return (await reader.load(held.tenant)).known;
  } catch (error) {
    if (isStoreUnavailable(error)) return held.known;
    throw error;
  }
}

/** True at most once in `DIRECTORY_AGE_MS_MAX` for each tenant; those of long ago are forgotten, and may come too early. */
function createIntervals(clock: Clock): (tenant: string) => boolean {
  const lastByTenant = new Map<string, number>();
  return (tenant) => {
    const now = clock.monotonic();
    const last = lastByTenant.get(tenant);
    if (last !== undefined && now - last < DIRECTORY_AGE_MS_MAX) return false;
    lastByTenant.delete(tenant);
    lastByTenant.set(tenant, now);
    const oldest = lastByTenant.keys().next();
    if (lastByTenant.size > TIMES_MAX && oldest.done !== true) lastByTenant.delete(oldest.value);
    return true;
  };
}

function notKnown(tenant: string): PosthasteError {
  return storeFault(`Redis was emptied, and whether the tenant ${tenant} had endpoints is not known. ${WAITS}`);
}

const WAITS =
  "Its events wait until a process that holds it writes it back, Redis is restored, or an endpoint of the tenant is changed or created.";

function tooOld(tenant: string, version: number, atLeast: number): PosthasteError {
  return storeFault(
    `The directory in Redis holds version ${version} of the tenant ${tenant}, older than ${atLeast}, which was seen before. ${WAITS}`,
  );
}
