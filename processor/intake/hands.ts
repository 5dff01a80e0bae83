/**
 * How much the loops of this process begin in one turn of the event loop. Who comes meanwhile waits for all of it, and each turn
 * that a request and its delivery go through costs them that much: loops take a hand each until that took its time, the others wait
 * for the next turn, and a hand is small while tenants are beside each other.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Company } from "../company.ts";

/**
 * Items of a hand. While one tenant alone has something to do its own work is all that it holds up, and each turn costs something, a commit
 * above all.
 */
export const HAND_MAX = { alone: 16, beside: 6 } as const;

/** After so long in one turn no further loop goes on. */
const TURN_MS = 1;

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
