/**
 * What a body costs to read depends on what stands in it: 250 KiB of text take a millisecond, 20,000 members twenty. So that
 * nobody's bodies keep the event loop from everybody else, one turn of the loop works on bodies for a few milliseconds; the
 * rest waits for later turns, tenants in turn.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { createCompany } from "@posthaste/shared/lib/company.ts";
import { FifoRow, FlowRows, admitsAll } from "@posthaste/shared/lib/flow-rows.ts";

/** A turn of the event loop begins no further work once so much was spent in it. What was begun is not cut. */
export const TURN_MS = { alone: 5, beside: 2 } as const;
/** After a turn that took so long or longer, those who wait pause for as long again, but no longer than `PAUSE_MS_MAX`. */
export const LONG_TURN_MS = 10;
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
  const company = createCompany(clock);
  let spentMs = 0;
  let isEndDue = false;
  let isPaused = false;

  const turnMs = (): number => (company.isMixed() ? TURN_MS.beside : TURN_MS.alone);

  function spend<Result>(work: (hasTime: () => boolean) => Result): Result {
    const startedMs = clock.monotonic();
    try {
      return work(() => spentMs + clock.monotonic() - startedMs < turnMs());
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
    if (tookMs < LONG_TURN_MS) return serve();
    isPaused = true;
    clock.timer(Math.min(tookMs, PAUSE_MS_MAX), () => {
      isPaused = false;
      serve();
    });
  }

  function serve(): void {
    while (spentMs < turnMs()) {
      const next: Waiting[] = [];
      rows.moveTo(next, 1, admitsAll);
      const [first] = next;
      if (first === undefined) return;
      spend(first.begin);
    }
  }

  return {
    run(tenant, work) {
      company.met(tenant);
      const row = rows.find(tenant, 0);
      if (row === undefined && spentMs < turnMs()) return spend(async (hasTime) => await work(hasTime));
      const line = row ?? new FifoRow<Waiting>();
      if (row === undefined) rows.add(tenant, 0, line);
      return new Promise((resolve, reject) => {
        line.push({ begin: (hasTime) => void (async () => await work(hasTime))().then(resolve, reject) });
      });
    },
  };
}
