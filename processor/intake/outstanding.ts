/** Counts items taken from a queue and not yet acknowledged or released, for a stop that waits for the last. */

export interface Outstanding {
  enter(): void;
  leave(): void;
  count(): number;
  /** Resolves when nothing is outstanding; at once if so already. */
  whenZero(): Promise<void>;
}

export function createOutstanding(): Outstanding {
  let count = 0;
  let waiters: (() => void)[] = [];
  return {
    enter() {
      count += 1;
    },
    leave() {
      count -= 1;
      if (count > 0) return;
      const woken = waiters;
      waiters = [];
      for (const wake of woken) wake();
    },
    count: () => count,
    whenZero: () =>
      count === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiters.push(resolve);
          }),
  };
}
