/** What is looked at again and again, by one look at a time. */
import type { Cancel, Clock } from "./ambient.ts";

/**
 * The first look begins `firstMs` from now; `look` resolves with the ms from its end to the next one, and must not reject. Disposed,
 * it looks no more; a look that is under way goes on.
 */
export function lookRepeatedly(clock: Pick<Clock, "timer">, firstMs: number, look: () => Promise<number>): Disposable {
  let isStopped = false;
  let cancel: Cancel = () => undefined;

  function arm(waitMs: number): void {
    if (!isStopped) cancel = clock.timer(waitMs, () => void look().then(arm));
  }

  arm(firstMs);
  return {
    [Symbol.dispose]() {
      isStopped = true;
      cancel();
    },
  };
}
