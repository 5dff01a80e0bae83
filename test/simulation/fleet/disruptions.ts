/** When something happened to a fleet that may make a second copy of a delivery, or make it late. */
export interface Disruptions {
  note(atMs: number): void;
  /** None in that time, nor shortly before it, when its consequences may still have been felt. */
  wasQuiet(fromMs: number, toMs: number): boolean;
}

/** A session of the log that ends, the rebalance after it, and a lease of the HIGH lane that runs out. */
export const FELT_MS = 60_000;

export function createDisruptions(feltMs: number): Disruptions {
  const timesMs: number[] = [];
  return {
    note: (atMs) => void timesMs.push(atMs),
    wasQuiet: (fromMs, toMs) => !timesMs.some((atMs) => atMs >= fromMs - feltMs && atMs <= toMs),
  };
}
