/**
 * What every queue loop does with an item that it took: give it room in the window, wait for its deliveries, then
 * acknowledge it or release it. The one place where that is decided; acks are written together by `settlements.ts`.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Company } from "@posthaste/shared/lib/company.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { ProcessorQueue, ProcessorTelemetry } from "@posthaste/shared/telemetry/processor.ts";
import type { Ending } from "../delivery/pending-delivery.ts";
import type { Settlements } from "../delivery/settlements.ts";
import type { Standstill } from "../delivery/standstill.ts";
import type { UntilStored } from "../delivery/until-stored.ts";
import type { Holder, Window } from "./window.ts";

export interface QueueItemDeps {
  readonly queue: ProcessorQueue;
  readonly telemetry: Pick<ProcessorTelemetry, "processed">;
  readonly window: Window;
  readonly outstanding: Outstanding;
  readonly standstill: Pick<Standstill, "watch">;
  readonly untilStored: UntilStored;
  readonly settlements: Pick<Settlements, "ack">;
  readonly hands: Hands;
  readonly company: Pick<Company, "met">;
  readonly clock: Pick<Clock, "sleep" | "monotonic">;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}

/** How an item is worked on, and what becomes of it when that throws: a bug, or a value that should not have come here. */
export interface ItemWork {
  readonly run: (weigh: Weigh) => Promise<Ending>;
  readonly putAside: () => Promise<Ending>;
}

/** An item that cannot even be put aside keeps its place for so long before it is handed out again. */
const HELD_BACK_MS = 5000;
const STAY = new AbortController().signal;

interface ItemQueue<Item> {
  ack(items: readonly Item[]): Promise<void>;
  release(items: readonly Item[]): Promise<void>;
}

/** Tells the window how many deliveries an item still stands for; 1 until its fan-out. */
export type Weigh = (deliveries: number) => void;

/**
 * Runs one item to its end. It leaves the window as soon as it is settled (see `UNACKED_MAX`), and stays outstanding until its
 * ack or release is durable. `run` begins at once.
 */
export async function runItem<Item>(
  deps: QueueItemDeps,
  queue: ItemQueue<Item>,
  item: Item,
  holder: Holder,
  work: ItemWork,
): Promise<void> {
  const { window, outstanding, standstill, company, untilStored, settlements, clock } = deps;
  const startedMs = clock.monotonic();
  outstanding.enter();
  standstill.watch();
  company.met(holder.tenant);
  const place = window.hold(holder);
  const ending = await runToEnd(deps, work, place.weigh);
  deps.telemetry.processed(deps.queue, ending, clock.monotonic() - startedMs);
  if (ending === "settled") {
    const acked = place.settled();
    return settlements.ack(queue, item, () => {
      acked();
      outstanding.leave();
    });
  }
  place.free();
  await untilStored("release", () => queue.release([item]));
  outstanding.leave();
}

/** An error that nobody expected ends this item's work alone, and is no reason to try it again at once. */
async function runToEnd({ clock, onFailure }: QueueItemDeps, work: ItemWork, weigh: Weigh): Promise<Ending> {
  try {
    return await work.run(weigh);
  } catch (error) {
    onFailure("deliver", error, 0);
  }
  try {
    return await work.putAside();
  } catch (error) {
    onFailure("put aside", error, HELD_BACK_MS);
    await clock.sleep(HELD_BACK_MS, STAY);
    return "released";
  }
}

/**
 * Items of a hand. While one tenant alone has something to do its own work is all that it holds up, and each turn costs something, a commit
 * above all.
 */
export const HAND_MAX = { alone: 16, beside: 6 } as const;

/** After so long in one turn no further loop goes on. */
const TURN_MS = 1;

/**
 * How much the loops of this process begin in one turn of the event loop. Who comes meanwhile waits for all of it, and each turn
 * that a request and its delivery go through costs them that much: loops take a hand each until that took its time, the others wait
 * for the next turn, and a hand is small while tenants are beside each other.
 */
export interface Hands {
  /** Items that a loop may take now. */
  max(): number;
  /** After a take: resolves when the loop may take again, at once if its hand was not full. */
  taken(count: number): Promise<void>;
}

export function createHands(clock: Pick<Clock, "soon" | "monotonic">, company: Pick<Company, "isMixed">): Hands {
  const waiting: (() => void)[] = [];
  /** When the first one of this turn went on; null before. */
  let turnAtMs: number | null = null;
  const max = (): number => (company.isMixed() ? HAND_MAX.beside : HAND_MAX.alone);

  /** One for each that waits, in one turn: what the one before began is done when the next looks at the time. */
  function begin(): void {
    const nowMs = clock.monotonic();
    if (turnAtMs === null) {
      turnAtMs = nowMs;
      // Before those that are put off to the next turn.
      clock.soon(() => {
        turnAtMs = null;
      });
    } else if (nowMs - turnAtMs >= TURN_MS) {
      return clock.soon(begin);
    }
    waiting.shift()?.();
  }

  return {
    max,
    taken(count) {
      if (count < max()) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push(resolve);
        clock.soon(begin);
      });
    },
  };
}

/** A queue that gives nothing although nobody stops is closed; to ask it again at once would starve everything else. */
export function requireStopping(signal: AbortSignal): void {
  if (!signal.aborted) throw new PosthasteError("store-unavailable", "A queue gave nothing: it is closed.");
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
