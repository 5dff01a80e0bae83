/**
 * What a body costs to read depends on what stands in it: 250 KiB of text take a millisecond, 20,000 members twenty. So that
 * nobody's bodies keep the event loop from everybody else, one turn of the loop works on bodies for a few milliseconds; the
 * rest waits for later turns, tenants in turn.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { FifoRow, FlowRows, admitsAll } from "@posthaste/shared/lib/flow-rows.ts";

/** A turn of the event loop begins no further work once so much was spent in it. What was begun is not cut. */
export const TURN_MS = 5;
/** After a turn that took longer, those who wait pause for as long again, but no longer than this. */
export const PAUSE_MS_MAX = 20;

export interface WorkTurns {
  /**
   * Calls `work` at once when the turn has time left and nothing of the tenant waits, else in a later turn. What counts is
   * the time until it returns: of asynchronous work, up to its first wait. Who waits is bounded by the requests at work.
   */
  run<Result>(tenant: string, work: Work<Result>): Promise<Result>;
}

/** `hasTime`: whether the turn has time for more of the same work; what it has not is another piece, for another turn. */
export type Work<Result> = (hasTime: () => boolean) => Result | Promise<Result>;

interface Waiting {
  readonly begin: (hasTime: () => boolean) => void;
}

export function createWorkTurns(clock: Pick<Clock, "monotonic" | "soon" | "timer">): WorkTurns {
  const rows = new FlowRows<Waiting, FifoRow<Waiting>>();
  let spentMs = 0;
  let isEndDue = false;
  let isPaused = false;

  function spend<Result>(work: (hasTime: () => boolean) => Result): Result {
    const startedMs = clock.monotonic();
    try {
      return work(() => spentMs + clock.monotonic() - startedMs < TURN_MS);
    } finally {
      spentMs += clock.monotonic() - startedMs;
      if (spentMs > 0 && !isEndDue) {
        isEndDue = true;
        clock.soon(endTurn);
      }
    }
  }

  function endTurn(): void {
    const tookMs = spentMs;
    isEndDue = false;
    spentMs = 0;
    if (isPaused) return;
    if (tookMs < 2 * TURN_MS) return serve();
    isPaused = true;
    clock.timer(Math.min(tookMs, PAUSE_MS_MAX), () => {
      isPaused = false;
      serve();
    });
  }

  function serve(): void {
    while (spentMs < TURN_MS) {
      const next: Waiting[] = [];
      rows.moveTo(next, 1, admitsAll);
      const [first] = next;
      if (first === undefined) return;
      spend(first.begin);
    }
  }

  return {
    run(tenant, work) {
      const row = rows.find(tenant, 0);
      if (row === undefined && spentMs < TURN_MS) return spend(async (hasTime) => await work(hasTime));
      const line = row ?? new FifoRow<Waiting>();
      if (row === undefined) rows.add(tenant, 0, line);
      return new Promise((resolve, reject) => {
        line.push({ begin: (hasTime) => void (async () => await work(hasTime))().then(resolve, reject) });
      });
    },
  };
}
