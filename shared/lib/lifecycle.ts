/**
 * Loops that live as long as the process: run, and begin again after a failure with a jittered, doubling wait.
 * A loop ends only when its signal is aborted.
 */
import type { Clock, Entropy } from "./ambient.ts";
import { backoffMs } from "./retry.ts";

export interface Supervision {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** First wait after a failure; doubles up to `waitMsMax`, falls back after `steadyMs` without one. */
  readonly waitMs: number;
  readonly waitMsMax: number;
  readonly steadyMs: number;
  onFailure(loop: string, error: unknown, waitMs: number): void;
}

export const SUPERVISION_DEFAULTS = { waitMs: 100, waitMsMax: 10_000, steadyMs: 60_000 } as const;

/** Resolves once `signal` is aborted and the loop has returned; never rejects. */
export async function supervise(
  loop: string,
  run: (signal: AbortSignal) => Promise<void>,
  supervision: Supervision,
  signal: AbortSignal,
): Promise<void> {
  const { clock, entropy, waitMs: firstMs, waitMsMax: maxMs } = supervision;
  let failures = 0;
  while (!signal.aborted) {
    const startedAt = clock.monotonic();
    try {
      await run(signal);
    } catch (error) {
      if (isAborted(signal)) return;
      if (clock.monotonic() - startedAt >= supervision.steadyMs) failures = 0;
      const waitMs = backoffMs(failures, { firstMs, maxMs }, entropy);
      supervision.onFailure(loop, error, waitMs);
      await clock.sleep(waitMs, signal).catch(() => undefined);
      failures += 1;
    }
  }
}

/** Read through a call, because the flag changes while a loop waits and the compiler cannot know it. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
