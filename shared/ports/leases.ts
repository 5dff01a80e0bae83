/**
 * Leases on names. Of all processes that share the stores one at a time holds a name, for a bounded time; a holder that
 * died is waited for until its lease ends. A lease saves double work and is no fence: a holder that works on after its
 * end may meet the next one.
 */

export type Lease =
  /** Yours for the time asked for, from now on; also when it was yours already. */
  | { readonly kind: "acquired" }
  /** Somebody else's; free again in this time at the latest. */
  | { readonly kind: "held"; readonly retryAfterMs: number };

/** A lease is given for so long at most. */
export const LEASE_MS_MAX = 600_000;

export interface Leases {
  /**
   * `holder` is a random word of the process; the holder of a lease may ask again, which sets its end anew. `ms` is at most
   * `LEASE_MS_MAX`. A clock that is set back makes no lease longer than the time it was asked for.
   */
  acquire(name: string, holder: string, ms: number): Promise<Lease>;
  /** Gives it up. Does nothing when somebody else holds it by now. */
  release(name: string, holder: string): Promise<void>;
}

/** Held by whoever takes what is held for an endpoint out of the dead letters: it comes back, or is replayed by hand. */
export function heldLettersLease(endpointId: string): string {
  return `recover:${endpointId}`;
}

/** One object for all calls. */
export const ACQUIRED: Lease = { kind: "acquired" };
