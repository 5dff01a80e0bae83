/**
 * Time of a simulated world. Whatever waits (timers, `soon`, network, clients) is one callback on one heap; `step` runs
 * the next. Among callbacks due at the same millisecond chance decides, so a seed explores one interleaving.
 */
import type { Cancel, Clock } from "@posthaste/shared/lib/ambient.ts";
import type { ClockBasics } from "./waits.ts";
import { withWaits } from "./waits.ts";
import type { Chance } from "../../simulation/chance.ts";

export interface VirtualClock extends Clock {
  /** Runs the callback that is due next, at its own time. False when nothing waits. */
  step(): boolean;
  /** When the next callback is due; null when nothing waits. */
  nextDueAtMs(): number | null;
  /** Milliseconds since the world began. */
  elapsedMs(): number;
  /** The clock of one process: its time of day is `skewMs` off, and it is told of each wait that is asked for. */
  forProcess(parts?: { readonly skewMs?: number; readonly onWait?: (ms: number) => void }): ProcessClock;
}

export interface ProcessClock extends Clock {
  /** Nothing that this process waits for happens any more. */
  kill(): void;
  /** When its timers are due, in ms from now. */
  pendingMs(): readonly number[];
  /** Sets its time of day by `ms`, back or forth; timers and `monotonic` do not notice. */
  stepWall(ms: number): void;
}

interface Timer {
  readonly dueAtMs: number;
  readonly tie: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

const TIMER_MS_MAX = 2 ** 31 - 1;

export function createVirtualClock(options: { readonly startMs: number; readonly chance: Chance }): VirtualClock {
  const { startMs, chance } = options;
  const heap = createHeap();
  let elapsedMs = 0;

  function add(ms: number, callback: () => void): Timer {
    const dueAtMs = elapsedMs + Math.ceil(Math.min(Math.max(0, ms), TIMER_MS_MAX));
    const timer: Timer = { dueAtMs, tie: chance.fraction(), callback, isCancelled: false };
    heap.push(timer);
    return timer;
  }

  const basics: ClockBasics = {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    timer(ms, callback) {
      const timer = add(ms, callback);
      return () => void (timer.isCancelled = true);
    },
    soon: (callback) => void add(0, callback),
  };

  return {
    ...withWaits(basics),
    elapsedMs: () => elapsedMs,
    nextDueAtMs: () => {
      const next = heap.peek();
      return next === undefined ? null : startMs + next.dueAtMs;
    },
    step() {
      const next = heap.pop();
      if (next === undefined) return false;
      elapsedMs = Math.max(elapsedMs, next.dueAtMs);
      next.callback();
      return true;
    },
    forProcess: ({ skewMs = 0, onWait = () => undefined } = {}) => createProcessClock(add, basics, skewMs, onWait),
  };
}

function createProcessClock(
  add: (ms: number, callback: () => void) => Timer,
  world: ClockBasics,
  skewMs: number,
  onWait: (ms: number) => void,
): ProcessClock {
  const own = new Set<Timer>();
  let offsetMs = skewMs;
  let isAlive = true;
  const begin = (ms: number, callback: () => void): Cancel => {
    if (!isAlive) return () => undefined;
    onWait(ms);
    const timer = add(ms, () => {
      own.delete(timer);
      callback();
    });
    own.add(timer);
    return () => {
      timer.isCancelled = true;
      own.delete(timer);
    };
  };
  return {
    ...withWaits({
      ...world,
      now: () => world.now() + offsetMs,
      timer: begin,
      soon: (callback) => void begin(0, callback),
    }),
    stepWall(ms) {
      offsetMs += ms;
    },
    kill() {
      isAlive = false;
      for (const timer of own) timer.isCancelled = true;
      own.clear();
    },
    pendingMs: () => [...own].map(({ dueAtMs }) => dueAtMs - world.monotonic()),
  };
}

/** A binary heap, earliest first; what was cancelled is passed over when it comes to the top. */
function createHeap() {
  const items: Timer[] = [];
  const isBefore = (left: Timer, right: Timer): boolean =>
    left.dueAtMs < right.dueAtMs || (left.dueAtMs === right.dueAtMs && left.tie < right.tie);

  function swap(left: number, right: number): void {
    const [one, other] = [items[left], items[right]];
    if (one === undefined || other === undefined) return;
    items[left] = other;
    items[right] = one;
  }

  function isOrdered(parent: number, child: number): boolean {
    const [upper, lower] = [items[parent], items[child]];
    return upper === undefined || lower === undefined || !isBefore(lower, upper);
  }

  function removeFirst(): Timer | undefined {
    const first = items[0];
    swap(0, items.length - 1);
    items.pop();
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const child = isOrdered(left, left + 1) ? left : left + 1;
      if (child >= items.length || isOrdered(at, child)) return first;
      swap(at, child);
      at = child;
    }
  }

  function dropCancelled(): void {
    while (items[0]?.isCancelled === true) removeFirst();
  }

  return {
    push(timer: Timer): void {
      let at = items.push(timer) - 1;
      while (at > 0 && !isOrdered((at - 1) >> 1, at)) {
        swap(at, (at - 1) >> 1);
        at = (at - 1) >> 1;
      }
    },
    peek(): Timer | undefined {
      dropCancelled();
      return items[0];
    },
    pop(): Timer | undefined {
      dropCancelled();
      return removeFirst();
    },
  };
}
