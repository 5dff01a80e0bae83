/**
 * The catalogue of event types in Redis, and all of it in the process: asked for again when it was not for a while, or when a change
 * is announced, by its version alone unless that has changed. While Redis is away the last that was known goes on to hold.
 *
 * A Redis that shows an older version than this process knows was emptied, or went back to an older state: what is known here is
 * written back.
 */
import type { Catalogue } from "../../../domain/event-types.ts";
import { CATALOGUE_BYTES_MAX, EVENT_TYPES_MAX } from "../../../domain/event-types.ts";
import { isDamage, PosthasteError, storeFault } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { EventTypes } from "../../../ports/event-types.ts";
import type { Notifier } from "../../../ports/notifier.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisCommands } from "../client/redis-commands.ts";
import type { CatalogueBounds, CatalogueChange, CatalogueStore } from "./store.ts";
import { createCatalogueStore } from "./store.ts";

/** From the question that was answered: what is promised of a change (`ports/event-types.ts`). */
export const CATALOGUE_TRUSTED_MS = 5000;
/** Where nothing is announced, and each question is a request of its own. */
export const CATALOGUE_TRUSTED_AT_EDGE_MS = 30_000;
/** After a question without an answer the next one waits, so that not every event waits for a Redis that is away. */
const RETRY_MS = 1000;

/** What outlives one request at the edge: values alone. */
export interface CatalogueMemory {
  catalogue: Catalogue | null;
  /** By `Clock.monotonic`. */
  trustedUntil: number;
}

export const newCatalogueMemory = (): CatalogueMemory => ({ catalogue: null, trustedUntil: -Infinity });

export interface RedisEventTypesOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "monotonic">;
  readonly onFault: (error: unknown) => void;
  readonly bounds?: CatalogueBounds | undefined;
}

const BOUNDS: CatalogueBounds = { typesMax: EVENT_TYPES_MAX, bytesMax: CATALOGUE_BYTES_MAX };

/** Of a process that stays. Nothing is read before somebody asks. */
export function openRedisEventTypes(
  options: RedisEventTypesOptions & { readonly notifier: Pick<Notifier, "subscribe"> },
): EventTypes & Disposable {
  const memory = newCatalogueMemory();
  const held = createRedisEventTypes({ ...options, memory, trustedMs: CATALOGUE_TRUSTED_MS, writesBack: true });
  const unsubscribe = options.notifier.subscribe(({ kind }) => {
    if (kind !== "directory-changed") held.doubt();
  });
  return { ...held.types, [Symbol.dispose]: unsubscribe };
}

/**
 * Of a gateway, before an event comes: Redis may be away by then. Throws `store-unavailable`. A catalogue that does not read back keeps nobody from publishing: it is told, and then
 * none is known.
 */
export async function readCatalogueAtStart(
  types: Pick<EventTypes, "read">,
  onFault: (error: unknown) => void,
): Promise<void> {
  try {
    await types.read();
  } catch (error) {
    if (!isDamage(error)) throw error;
    onFault(error);
  }
}

/** `doubt`: what is known may have changed. Questions under way are shared by those who use the same one. */
export function createRedisEventTypes(
  options: RedisEventTypesOptions & {
    readonly memory: CatalogueMemory;
    readonly trustedMs: number;
    /** What Redis lost; by processes that stay. */
    readonly writesBack: boolean;
  },
): { readonly types: EventTypes; doubt(): void } {
  const { clock, memory, trustedMs, writesBack, onFault, bounds = BOUNDS } = options;
  const store = createCatalogueStore({ ...options, bounds });
  let asked: Promise<Catalogue> | null = null;
  let doubts = 0;

  async function ask(): Promise<Catalogue> {
    const [askedAt, doubtsBefore] = [clock.monotonic(), doubts];
    const found = await newest(store, memory.catalogue, writesBack, onFault);
    // One that was asked later may have been answered before.
    if (Number(found.version) >= Number(memory.catalogue?.version ?? 0)) memory.catalogue = found;
    // What is announced while the question is under way may not be in its answer.
    if (doubts === doubtsBefore) memory.trustedUntil = askedAt + trustedMs;
    return found;
  }

  function refresh(): Promise<Catalogue> {
    asked ??= ask().finally(() => (asked = null));
    return asked;
  }

  function doubt(): void {
    doubts++;
    memory.trustedUntil = -Infinity;
    asked = null;
  }

  async function changed(reply: CatalogueChange): Promise<boolean> {
    if (reply === "types" || reply === "bytes") throw full(reply, bounds);
    doubt();
    // It is durable; who asks next is told of it, whatever becomes of this question.
    if (reply === "ok") await refresh().catch(onFault);
    return reply === "ok";
  }

  const types: EventTypes = {
    known() {
      if (clock.monotonic() < memory.trustedUntil) return memory.catalogue;
      return refresh().catch((error: unknown) => {
        if (isDamage(error)) onFault(error);
        memory.trustedUntil = Math.max(memory.trustedUntil, clock.monotonic() + RETRY_MS);
        return memory.catalogue;
      });
    },
    read: () => ask(),
    // What Redis lost is written back before anything is changed in it.
    put: async (type) => void (await changed(await store.put(await ask(), type))),
    remove: async (name) => await changed(await store.remove(await ask(), name)),
  };
  return { types, doubt };
}

async function newest(
  store: CatalogueStore,
  known: Catalogue | null,
  writesBack: boolean,
  onFault: (error: unknown) => void,
): Promise<Catalogue> {
  const found = await store.read(known);
  if (known === null || Number(found.version) >= Number(known.version)) return found;
  if (writesBack) {
    onFault(storeFault("Redis went back to an older catalogue of event types; the one known here is written back."));
    await store.restore(known);
  }
  return known;
}

function full(reply: "types" | "bytes", { typesMax, bytesMax }: CatalogueBounds): PosthasteError {
  const detail =
    reply === "types"
      ? `The catalogue has ${typesMax} event types, its most; delete one first.`
      : `The catalogue may have ${bytesMax} bytes of descriptions, schemas and examples in all; shorten some, or delete a type.`;
  return new PosthasteError("limit-reached", detail);
}
