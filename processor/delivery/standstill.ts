/**
 * What a process owes after it stood still. Others took over what it held, and it has not heard of it: for a while the ledger
 * is asked before each attempt, whoever handed the event out. What an attempt did not hear in that time says nothing of its
 * endpoint.
 */
import type { Cancel, Clock } from "@posthaste/shared/lib/ambient.ts";
import { STILL_MS } from "@posthaste/shared/lib/standstills.ts";

/** While something is under way a timer runs, and so tells in time that it came late. */
const LOOK_MS = 1000;
/** Longer than anything waits between its queue and its attempt: a group is collected for a minute at most. */
const ASKING_MS = 120_000;

export interface Standstill {
  /** Something is under way, until `isBusy` says that nothing is. */
  watch(): void;
  /** How often the process stood still so far. */
  count(): number;
  /** What was taken from a queue before the last time may still be in hand. */
  isRecent(): boolean;
  stop(): void;
}

export function createStandstill(deps: {
  readonly clock: Pick<Clock, "monotonic" | "timer" | "onStandstill">;
  readonly isBusy: () => boolean;
  /** Told once for each, with the ms for which it lasted at least. */
  readonly found: (ms: number) => void;
}): Standstill {
  const { clock, isBusy } = deps;
  let timer: Cancel | null = null;
  let lookedAtMs = 0;
  let endedAtMs = -Infinity;
  let count = 0;

  function note(ms: number): void {
    count += 1;
    endedAtMs = clock.monotonic();
    lookedAtMs = endedAtMs;
    deps.found(ms);
  }

  /** An answer may be read before the first late timer rings. */
  function look(): void {
    const stillMs = clock.monotonic() - lookedAtMs - LOOK_MS;
    if (timer !== null && stillMs > STILL_MS) note(stillMs);
  }

  function arm(): void {
    lookedAtMs = clock.monotonic();
    timer = clock.timer(LOOK_MS, () => {
      look();
      timer = null;
      if (isBusy()) arm();
    });
  }

  const unlisten = clock.onStandstill((ms) => {
    // Seen already, by whoever asked first.
    if (clock.monotonic() - endedAtMs > STILL_MS) note(ms);
  });

  return {
    watch() {
      if (timer === null) arm();
    },
    count() {
      look();
      return count;
    },
    isRecent() {
      look();
      return clock.monotonic() - endedAtMs < ASKING_MS;
    },
    stop() {
      unlisten();
      timer?.();
      timer = null;
    },
  };
}
