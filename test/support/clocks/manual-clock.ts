/**
 * Time by hand, for tests. Timers run when `advance` comes to them, in the order they are due; `soon` runs at the next
 * turn of the event loop, whatever the time. Between two callbacks all promises at hand are drained.
 */
import type { Clock, StandstillListener } from "@posthaste/shared/lib/ambient.ts";
import type { ClockBasics } from "./waits.ts";
import { withWaits } from "./waits.ts";

export interface ManualClock extends Clock {
  /** Lets `ms` pass, and runs what falls due on the way at its own time. */
  advance(ms: number): Promise<void>;
  /** Runs what is due now, and all promises at hand, until there is nothing more to do at this time. */
  settle(): Promise<void>;
  /** Sets the wall clock by `ms`, back or forth, as an operator would; timers and `monotonic` do not notice. */
  stepWall(ms: number): void;
  /** The process stands still for `ms`: time passes, and what fell due comes late, when it goes on. */
  standStill(ms: number): Promise<void>;
  /** Timers that wait now. */
  timerCount(): number;
  /** The clock of one simulated process; after `kill` nothing that it was asked for happens any more. */
  forProcess(): ProcessClock;
}

export interface ProcessClock extends Clock {
  kill(): void;
}

interface Timer {
  readonly dueAtMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Turns of the event loop that are granted for promises to settle. */
const IDLE_TURNS = 3;

export function createManualClock(startMs: number): ManualClock {
  let elapsedMs = 0;
  let wallOffsetMs = startMs;
  let order = 0;
  let waitingSoon: (() => void)[] = [];
  const timers = new Set<Timer>();
  const listeners = new Set<StandstillListener>();

  const basics: ClockBasics = {
    now: () => wallOffsetMs + elapsedMs,
    monotonic: () => elapsedMs,
    timer(ms, callback) {
      const timer = { dueAtMs: elapsedMs + Math.min(Math.max(0, ms), 2 ** 31 - 1), order: order++, callback };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    soon(callback) {
      waitingSoon.push(callback);
      if (waitingSoon.length === 1) setImmediate(runSoon);
    },
    onStandstill(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };

  function runSoon(): void {
    const callbacks = waitingSoon;
    waitingSoon = [];
    for (const callback of callbacks) callback();
  }

  async function drain(): Promise<void> {
    for (let idle = 0; idle < IDLE_TURNS; idle++) {
      const wasBusy = waitingSoon.length > 0;
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (wasBusy) idle = -1;
    }
  }

  async function advance(ms: number): Promise<void> {
    const untilMs = elapsedMs + ms;
    await drain();
    for (let timer = nextTimer(timers, untilMs); timer !== null; timer = nextTimer(timers, untilMs)) {
      timers.delete(timer);
      elapsedMs = Math.max(elapsedMs, timer.dueAtMs);
      timer.callback();
      await drain();
    }
    elapsedMs = untilMs;
    await drain();
  }

  return {
    ...withWaits(basics),
    advance,
    settle: () => advance(0),
    stepWall(ms) {
      wallOffsetMs += ms;
    },
    async standStill(ms) {
      elapsedMs += ms;
      for (const listener of listeners) listener(ms, true);
      await advance(0);
    },
    timerCount: () => timers.size,
    forProcess: () => createProcessClock(basics),
  };
}

/** The timer due first until then; of those due together the one set first. */
function nextTimer(timers: ReadonlySet<Timer>, untilMs: number): Timer | null {
  let next: Timer | null = null;
  for (const timer of timers) {
    if (timer.dueAtMs > untilMs) continue;
    if (next === null || timer.dueAtMs < next.dueAtMs || (timer.dueAtMs === next.dueAtMs && timer.order < next.order)) {
      next = timer;
    }
  }
  return next;
}

function createProcessClock(basics: ClockBasics): ProcessClock {
  let isAlive = true;
  const whileAlive = (callback: () => void) => () => {
    if (isAlive) callback();
  };
  const own: ClockBasics = {
    ...basics,
    timer: (ms, callback) => basics.timer(ms, whileAlive(callback)),
    soon: (callback) => basics.soon(whileAlive(callback)),
  };
  return {
    ...withWaits(own),
    kill() {
      isAlive = false;
    },
  };
}
