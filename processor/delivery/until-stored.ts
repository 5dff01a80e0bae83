/**
 * Writes that must happen before a delivery may be let go. They are retried until they are stored or the process stops;
 * meanwhile the item stays unacknowledged, so a stop or crash loses nothing. A stop waits for a store no longer than
 * `STORED_WITHIN_MS`: one that hangs must not keep a process that was told to end.
 */
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { Retried } from "@posthaste/shared/lib/retry.ts";
import { onAbort } from "@posthaste/shared/lib/on-abort.ts";
import { retry } from "@posthaste/shared/lib/retry.ts";

/** What `write` gave, or `aborted` when we stopped before it succeeded. `what` names it in logs. */
export type UntilStored = <Value>(what: string, write: () => Promise<Value>) => Promise<Retried<Value>>;

const BACKOFF = { firstMs: 50, maxMs: 5000 } as const;
/** Counted from the beginning of the stop, of a write that began before it; of any other from its own. */
export const STORED_WITHIN_MS = 3000;

export interface StoredWrites {
  readonly untilStored: UntilStored;
  /** By name, how many writes a stop gave up. They may have been stored all the same: what they stood for comes again. */
  givenUp(): ReadonlyMap<string, number>;
}

export function createStoredWrites(deps: {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Aborted at the beginning of a stop. */
  readonly stopping: AbortSignal;
  /** Aborted at the end of a stop. */
  readonly signal: AbortSignal;
  onFailure(what: string, error: unknown, waitMs: number): void;
}): StoredWrites {
  const { clock, entropy, stopping, signal } = deps;
  const countByName = new Map<string, number>();

  async function untilStored<Value>(what: string, write: () => Promise<Value>): Promise<Retried<Value>> {
    const count = (): void => {
      if (!UNCOUNTED.has(what)) countByName.set(what, (countByName.get(what) ?? 0) + 1);
    };
    if (signal.aborted) {
      count();
      return ABORTED;
    }
    const over = Promise.withResolvers<Retried<Value>>();
    const ending = new AbortController();
    let cancelTimer = (): void => undefined;
    const giveUp = (): void => {
      count();
      ending.abort();
      over.resolve(ABORTED);
    };
    const limit = (): void => void (cancelTimer = clock.timer(STORED_WITHIN_MS, giveUp));
    const cancelEnd = onAbort(signal, giveUp);
    const cancelStop = onAbort(stopping, limit);
    if (stopping.aborted) limit();
    const onFailure = (error: unknown, waitMs: number): void => deps.onFailure(what, error, waitMs);
    try {
      // A write that hangs answers to no signal, so it is left to itself.
      const writing = retry(write, { clock, entropy, signal: ending.signal, ...BACKOFF, onFailure });
      return await Promise.race([writing, over.promise]);
    } finally {
      cancelTimer();
      cancelStop();
      cancelEnd();
    }
  }

  return { untilStored, givenUp: () => countByName };
}

/**
 * What leaves nothing unfinished: looks whether there is something to bring back, which every start does anew and whose writes have
 * names of their own; and acks, whose items come again and are recognised by the ledger. Where that was not written either, the stop
 * says so by itself.
 */
const UNCOUNTED: ReadonlySet<string> = new Set(["recover", "recover held", "ack"]);

const ABORTED = { kind: "aborted" } as const;
