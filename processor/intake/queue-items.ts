/**
 * What every queue loop does with an item that it took: give it room in the window, wait for its deliveries, then
 * acknowledge it or release it. The one place where that is decided; acks are written together by `settlements.ts`.
 */
import type { Ending } from "../delivery/pending-delivery.ts";
import type { Settlements } from "../delivery/settlements.ts";
import type { UntilStored } from "../delivery/until-stored.ts";
import type { Window } from "./window.ts";

export interface QueueItemDeps {
  readonly window: Window;
  readonly outstanding: Outstanding;
  readonly untilStored: UntilStored;
  readonly settlements: Pick<Settlements, "ack">;
}

interface ItemQueue<Item> {
  ack(items: readonly Item[]): Promise<void>;
  release(items: readonly Item[]): Promise<void>;
}

/** Tells the window how many deliveries an item still stands for; 1 until its fan-out. */
export type Weigh = (deliveries: number) => void;

/**
 * Runs one item to its end. It leaves the window as soon as it is settled, and stays outstanding until its ack or
 * release is durable. `run` begins at once.
 */
export async function runItem<Item>(
  deps: QueueItemDeps,
  queue: ItemQueue<Item>,
  item: Item,
  bytes: number,
  run: (weigh: Weigh) => Promise<Ending>,
): Promise<void> {
  const { window, outstanding, untilStored, settlements } = deps;
  let weight = 1;
  const weigh: Weigh = (deliveries) => {
    window.weigh(weight, deliveries);
    weight = deliveries;
  };
  outstanding.enter();
  window.hold(bytes);
  const ending = await run(weigh);
  window.free(bytes, weight);
  if (ending === "settled") return settlements.ack(queue, item, outstanding.leave);
  await untilStored("release", () => queue.release([item]));
  outstanding.leave();
}

/** Counts items taken and not yet acknowledged or released, for a stop that waits for the last. */
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
