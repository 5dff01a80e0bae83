/** A wait that ends early, without an error, when it is not wanted any more. */
import type { Clock } from "@posthaste/client/public.ts";

export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const leave = (): void => {
      stopTimer();
      signal.removeEventListener("abort", leave);
      resolve();
    };
    const stopTimer = clock.timer(ms, leave);
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
  });
}
