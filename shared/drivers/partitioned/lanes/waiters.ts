/** Those who wait in `take` of a lane on the log: first come, first served, until there is something or they give up. */
import { onAbort } from "../../../lib/on-abort.ts";

export interface LaneWaiters<Item> {
  /** Resolves at once when there is something; with nothing only when the signal is aborted or all was closed. */
  take(max: number, signal: AbortSignal): Promise<readonly Item[]>;
  /** Call when there may be something new; all news of one moment are served together. */
  wake(): void;
  /** Those who wait, and all who come later, get nothing. */
  close(): void;
}

interface Waiter<Item> {
  readonly max: number;
  readonly resolve: (items: readonly Item[]) => void;
}

/** As many wait as there are loops that take, one or two for each lane. */
export function createLaneWaiters<Item>(pull: (max: number) => Item[]): LaneWaiters<Item> {
  const waiting = new Set<Waiter<Item>>();
  let isWaking = false;
  let isClosed = false;

  function serve(): void {
    isWaking = false;
    for (const waiter of waiting) {
      const items = isClosed ? [] : pull(waiter.max);
      if (items.length === 0 && !isClosed) return;
      waiting.delete(waiter);
      waiter.resolve(items);
    }
  }

  return {
    take(max, signal) {
      if (signal.aborted || isClosed) return Promise.resolve([]);
      const items = waiting.size === 0 ? pull(max) : [];
      if (items.length > 0) return Promise.resolve(items);
      return new Promise((resolve) => {
        const waiter: Waiter<Item> = {
          max,
          resolve(given) {
            cancel();
            resolve(given);
          },
        };
        const cancel = onAbort(signal, () => {
          waiting.delete(waiter);
          resolve([]);
        });
        waiting.add(waiter);
      });
    },
    wake() {
      if (isWaking || waiting.size === 0) return;
      isWaking = true;
      void Promise.resolve().then(serve);
    },
    close() {
      isClosed = true;
      serve();
    },
  };
}
