/** Watches each store of the set: who went away, who is back, and what faults of one that is there to tell of. */
import type { Clock } from "../../lib/ambient.ts";
import type { StoreChecks, StoreName } from "./condition.ts";
import { meanwhileOf } from "./condition.ts";
import { createStoreWatch } from "./store-watch.ts";

/** None may throw. */
interface StoresEvents {
  watched(store: StoreName, isUp: boolean): void;
  away(store: StoreName, away: { readonly reason: string; readonly cause: unknown; readonly meanwhile: string }): void;
  back(store: StoreName, awayMs: number, faults: number): void;
  fault(store: StoreName, error: unknown): void;
}

interface StoresWatch extends Disposable {
  /** Whom to tell of a fault of a store. */
  readonly suspicions: Readonly<Partial<Record<StoreName, (error: unknown) => void>>>;
}

export function watchStores(
  options: {
    readonly role: "gateway" | "processor";
    readonly clock: Pick<Clock, "timer" | "monotonic">;
    readonly stores: StoresEvents;
  },
  { redis, cache, kafka }: StoreChecks,
): StoresWatch {
  const { role, clock, stores } = options;
  const suspicions: Partial<Record<StoreName, (error: unknown) => void>> = {};
  const watches = new DisposableStack();
  for (const [store, name, check] of [
    ["redis", "Redis", redis],
    ["redis-cache", "The Redis of REDIS_CACHE_URL", cache],
    ["kafka", "Kafka", kafka],
  ] as const) {
    if (check === null) continue;
    stores.watched(store, true);
    const meanwhile = meanwhileOf(role, store, cache !== null);
    const events = {
      away: (reason: string, cause: unknown) => stores.away(store, { reason, cause, meanwhile }),
      back: (awayMs: number, faults: number) => stores.back(store, awayMs, faults),
      fault: (error: unknown) => stores.fault(store, error),
    };
    const watch = watches.use(createStoreWatch({ name, check, clock, events }));
    suspicions[store] = (error) => watch.suspect(error);
  }
  return { suspicions, [Symbol.dispose]: () => watches.dispose() };
}
