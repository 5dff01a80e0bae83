/** How long readers and publishers wait for a ledger that is behind. */
import { PosthasteError } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";

/** What a read waits for records that were made before it, and `remember` for its batch. */
export const LEDGER_WAIT_MS_MAX = 2000;

/** What `promise` settles to, or `store-unavailable` after `LEDGER_WAIT_MS_MAX`; then it goes on unobserved. */
export function inTime<Answer>(clock: Pick<Clock, "timer">, promise: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(LEDGER_WAIT_MS_MAX, () =>
      reject(new PosthasteError("store-unavailable", { detail: "The ledger is behind; try again.", retryAfterS: 1 })),
    );
    promise.then(resolve, reject).finally(cancel);
  });
}
