/** Those who wait in `take`: first come, first served, each until there is something or its signal is aborted. */
import { storeError } from "./group-commit.ts";

export interface Waiters<Item> {
  /** Resolves at once when `pull` has something; with nothing only when the signal is aborted. */
  take(max: number, signal: AbortSignal): Promise<readonly Item[]>;
  /** Call when there may be something new; the waiters are served in the next microtask, all news at once. */
  wake(): void;
  waitingCount(): number;
}

interface Waiter<Item> {
  readonly max: number;
  readonly resolve: (items: readonly Item[]) => void;
  readonly reject: (error: unknown) => void;
}

export function createLaneWaiters<Item>(options: {
  readonly pull: (max: number) => Item[];
  /** Sees to the next `wake`. Called when someone begins to wait, and after a wake that did not serve everyone. */
  readonly arrangeWake?: () => void;
}): Waiters<Item> {
  const { pull, arrangeWake } = options;
  const waiting: Waiter<Item>[] = [];
  let isWaking = false;

  function serve(): void {
    isWaking = false;
    for (let waiter = waiting[0]; waiter !== undefined; waiter = waiting[0]) {
      try {
        const items = pull(waiter.max);
        if (items.length === 0) break;
        waiting.shift();
        waiter.resolve(items);
      } catch (error) {
        waiting.shift();
        waiter.reject(storeError(error));
      }
    }
    if (waiting.length > 0) arrangeOrReject(waiting, arrangeWake);
  }

  function enqueue(max: number, signal: AbortSignal): Promise<readonly Item[]> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        waiting.splice(waiting.indexOf(waiter), 1);
        resolve([]);
      };
      const waiter: Waiter<Item> = {
        max,
        resolve(items) {
          signal.removeEventListener("abort", stop);
          resolve(items);
        },
        reject(error) {
          signal.removeEventListener("abort", stop);
          reject(error);
        },
      };
      waiting.push(waiter);
      signal.addEventListener("abort", stop, { once: true });
      arrangeOrReject(waiting, arrangeWake);
    });
  }

  return {
    async take(max, signal) {
      if (signal.aborted) return [];
      try {
        const items = waiting.length === 0 ? pull(max) : [];
        return items.length > 0 ? items : await enqueue(max, signal);
      } catch (error) {
        throw storeError(error);
      }
    },
    wake() {
      if (isWaking || waiting.length === 0) return;
      isWaking = true;
      void Promise.resolve().then(serve);
    },
    waitingCount: () => waiting.length,
  };
}

/** Without what `arrangeWake` arranges nobody would be woken: when it throws, all who wait are rejected. */
function arrangeOrReject<Item>(waiting: Waiter<Item>[], arrangeWake: (() => void) | undefined): void {
  try {
    arrangeWake?.();
  } catch (error) {
    const failed = storeError(error);
    for (const waiter of waiting.splice(0)) waiter.reject(failed);
  }
}
