/** A number of units that pieces of work share, each taking as many as it weighs. Whoever comes first is served first. */
import { onAbort } from "./on-abort.ts";

interface Waiter {
  readonly count: number;
  readonly resolve: (isTaken: boolean) => void;
}

/** It has no bound on those who wait: as many as callers bring, as long as what came before them takes. */
export class Units {
  #free: number;
  readonly #waiters = new Set<Waiter>();

  constructor(count: number) {
    this.#free = count;
  }

  /** True when `count` units, at most all there are, are the caller's until `give`; none at once. False when `signal` is aborted. */
  async take(count: number, signal: AbortSignal): Promise<boolean> {
    if (count === 0) return true;
    if (signal.aborted) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter: Waiter = { count, resolve };
    const cancel = onAbort(signal, () => {
      if (!this.#waiters.delete(waiter)) return;
      resolve(false);
      // Those behind it may weigh less.
      this.#serve();
    });
    this.#waiters.add(waiter);
    this.#serve();
    const isTaken = await promise;
    cancel();
    return isTaken;
  }

  give(count: number): void {
    this.#free += count;
    this.#serve();
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      if (waiter.count > this.#free) return;
      this.#free -= waiter.count;
      this.#waiters.delete(waiter);
      waiter.resolve(true);
    }
  }
}
