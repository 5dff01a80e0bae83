/** How long the ledger waits for a Redis that is away: writers for a minute, readers and publishers for two seconds. */
import { PosthasteError } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";

/** A batch of records is given up after so long without an answer: more than a failover or a restart takes. */
export const RECORD_BUDGET_MS = 60_000;
/** What a read waits for records that were made before it, and `remember` for its batch. */
export const LEDGER_WAIT_MS_MAX = 2000;

const AGAIN_MS = 200;
const AGAIN_MS_MAX = 2000;

export interface RetryBudget {
  /**
   * Runs again after 200 ms, 400 ms, ... 2 s until Redis takes it. Once one call was given up, those after it get one
   * try each until one succeeds, so that what waits behind is not kept for hours. What may not pass is thrown at once.
   */
  tryAgain<Answer>(run: () => Promise<Answer>): Promise<Answer>;
}

/** `endsAtMs` is on the monotonic clock and cuts the budget of calls under way. */
export function createRetryBudget(options: {
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  readonly endsAtMs: () => number;
}): RetryBudget {
  const { clock, endsAtMs } = options;
  let isExhausted = false;
  return {
    async tryAgain(run) {
      const lastAtMs = clock.monotonic() + RECORD_BUDGET_MS;
      for (let waitMs = AGAIN_MS; ; waitMs = Math.min(waitMs * 2, AGAIN_MS_MAX)) {
        try {
          const answer = await run();
          isExhausted = false;
          return answer;
        } catch (error) {
          if (!(error instanceof PosthasteError) || !error.retriable) throw error;
          isExhausted ||= clock.monotonic() >= Math.min(lastAtMs, endsAtMs());
          if (isExhausted) throw error;
          await clock.sleep(waitMs, NEVER);
        }
      }
    },
  };
}

/** What `promise` settles to, or `store-unavailable` after `LEDGER_WAIT_MS_MAX`; then it goes on unobserved. */
export function inTime<Answer>(clock: Pick<Clock, "timer">, promise: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(LEDGER_WAIT_MS_MAX, () =>
      reject(new PosthasteError("store-unavailable", { detail: "The ledger is behind; try again.", retryAfterS: 1 })),
    );
    promise.then(resolve, reject).finally(cancel);
  });
}

/** The tries are bounded by themselves. */
const NEVER = new AbortController().signal;
