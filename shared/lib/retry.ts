/**
 * Work that is done again until it succeeds, with a doubling, jittered wait between the tries. There is one jitter for
 * all loops: half to one and a half times the doubled wait. Processes that failed together must not come back together,
 * so it is wide; its mean is the plain wait, so a bound says what an operator will see on average.
 */
import type { Clock, Entropy } from "./ambient.ts";
import { assert } from "./assert.ts";

export interface Backoff {
  /** Wait after the first failure before jitter, more than 0. */
  readonly firstMs: number;
  /** The doubled wait stays at this, before jitter; `firstMs` at least. */
  readonly maxMs: number;
}

export interface RetryOptions extends Backoff {
  readonly clock: Pick<Clock, "sleep">;
  readonly entropy: Pick<Entropy, "fraction">;
  /** Ends the wait, and is looked at before each try; the work itself takes it only if the caller passes it on. */
  readonly signal: AbortSignal;
  /** Told of each failure that is tried again, also of one that comes after an abort; `waitMs` is the wait to come. */
  readonly onFailure: (error: unknown, waitMs: number) => void;
  /** False throws the error to the caller at once, and tells nobody else. All errors are retriable when it is left out. */
  readonly isRetriable?: (error: unknown, attemptIndex: number) => boolean;
}

export type Retried<Value> = { readonly kind: "done"; readonly value: Value } | { readonly kind: "aborted" };

/** 2 to the power of this times any wait is past any bound; one more would become Infinity, and 0 times that is no number. */
const DOUBLINGS_MAX = 1000;

/** The wait after failure number `attemptIndex`, from 0, in fractional ms: from half to one and a half of the doubled wait. */
export function backoffMs(
  attemptIndex: number,
  { firstMs, maxMs }: Backoff,
  entropy: Pick<Entropy, "fraction">,
): number {
  assert(firstMs > 0 && maxMs >= firstMs, "a backoff begins above 0 ms and ends no lower than it begins");
  const doubledMs = Math.min(firstMs * 2 ** Math.min(attemptIndex, DOUBLINGS_MAX), maxMs);
  return doubledMs * (0.5 + entropy.fraction());
}

/**
 * Tries until `work` succeeds, without a bound of its own: `isRetriable` and `signal` end it. The first try begins
 * before this returns, unless the signal is aborted already. Between two tries a timer runs, so timers and I/O get their
 * turn however fast the work fails. A success counts even when the signal was aborted meanwhile.
 */
export async function retry<Value>(
  work: (attemptIndex: number) => Promise<Value>,
  options: RetryOptions,
): Promise<Retried<Value>> {
  const { clock, entropy, signal } = options;
  for (let attemptIndex = 0; !signal.aborted; attemptIndex++) {
    try {
      return { kind: "done", value: await work(attemptIndex) };
    } catch (error) {
      if (options.isRetriable?.(error, attemptIndex) === false) throw error;
      const waitMs = backoffMs(attemptIndex, options, entropy);
      options.onFailure(error, waitMs);
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }
  return { kind: "aborted" };
}
