/** Seeded chance for a simulated world: the same seed makes the same choices on each runtime. */
import type { Entropy } from "@posthaste/shared/lib/ambient.ts";
import { seededEntropy } from "../support/ambient.ts";

export interface Chance {
  readonly entropy: Entropy;
  /** In [0, 1). */
  fraction(): number;
  /** A whole number from `from` to `to`, both included. */
  whole(from: number, to: number): number;
  /** As `whole`, but each order of magnitude is as likely as another; `from` at least 1. */
  magnitude(from: number, to: number): number;
  isTrue(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  /** A stream of its own, so that one more draw here changes nothing there. */
  fork(): Chance;
}

export function createChance(seed: number): Chance {
  const entropy = seededEntropy(seed);
  // The first numbers of neighbouring seeds resemble one another.
  for (let skipped = 0; skipped < 8; skipped++) entropy.fraction();
  const { fraction } = entropy;
  const whole = (from: number, to: number): number => from + Math.floor(fraction() * (to - from + 1));
  return {
    entropy,
    fraction,
    whole,
    magnitude: (from, to) => Math.min(to, Math.round(from * (to / from) ** fraction())),
    isTrue: (probability) => fraction() < probability,
    pick<Item>(items: readonly Item[]): Item {
      const item = items[whole(0, items.length - 1)];
      if (item === undefined) throw new Error("nothing to pick from");
      return item;
    },
    fork: () => createChance(whole(1, 2 ** 31 - 1)),
  };
}
