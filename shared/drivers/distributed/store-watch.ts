/**
 * Tells once that a store went away and once that it is back, in place of what its client says at each try. A fault makes
 * it look at once; otherwise it looks every few seconds, so that an idle process notices, too.
 */
import type { Cancel, Clock } from "../../lib/ambient.ts";
import { answerOf } from "./condition.ts";

/** Between looks at a store that is well, and at one that is away. */
export const LOOK_WELL_MS = 5000;
export const LOOK_AWAY_MS = 1000;
/** Faults that wait for the look that tells what they are; past it the oldest are only counted. */
const HELD_MAX = 16;

export interface StoreWatchEvents {
  /** `why` is one sentence; `latest` the fault that made it look, undefined when none did. */
  away(why: string, latest: unknown): void;
  /** `faults` came meanwhile. */
  back(awayMs: number, faults: number): void;
  /** Something failed while the store was well. */
  fault(error: unknown): void;
}

export interface StoreWatch extends Disposable {
  /** Its client, or who used it, met a fault. */
  suspect(error: unknown): void;
}

export function createStoreWatch(options: {
  readonly name: string;
  readonly check: () => Promise<string | null>;
  readonly clock: Pick<Clock, "timer" | "monotonic">;
  readonly events: StoreWatchEvents;
}): StoreWatch {
  const { name, check, clock, events } = options;
  let awaySinceMs: number | null = null;
  let faults = 0;
  let held: unknown[] = [];
  let isLooking = false;
  let isStopped = false;
  let cancel: Cancel = () => undefined;

  const arm = (): void => {
    cancel();
    if (!isStopped) cancel = clock.timer(awaySinceMs === null ? LOOK_WELL_MS : LOOK_AWAY_MS, () => void look());
  };

  async function look(): Promise<void> {
    if (isLooking || isStopped) return;
    isLooking = true;
    const why = await answerOf(name, check, clock);
    isLooking = false;
    if (isStopped) return;
    const told = held;
    held = [];
    if (why === null) {
      if (awaySinceMs !== null) events.back(clock.monotonic() - awaySinceMs, faults);
      else for (const error of told) events.fault(error);
      awaySinceMs = null;
      faults = 0;
    } else if (awaySinceMs === null) {
      awaySinceMs = clock.monotonic();
      events.away(why, told.at(-1));
    }
    arm();
  }

  arm();
  return {
    suspect(error) {
      faults++;
      if (awaySinceMs !== null || isStopped) return;
      if (held.length >= HELD_MAX) held.shift();
      held.push(error);
      void look();
    },
    [Symbol.dispose]() {
      isStopped = true;
      cancel();
    },
  };
}
