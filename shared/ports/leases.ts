/**
 * Leases on names: of all processes that share the stores, one at a time holds a name, for a bounded time. A holder that
 * dies is waited for until its lease ends. A lease keeps others from doing the same work at once; it is no fence: whoever
 * works on after the end of its lease may meet the next holder.
 */

export type Lease =
  /** Yours for the time asked for, from now on; also when it was yours already. */
  | { readonly kind: "acquired" }
  /** Somebody else's; free again in this time at the latest. */
  | { readonly kind: "held"; readonly retryAfterMs: number };

export interface Leases {
  /** `holder` is a random word of the process; the holder of a lease may ask again, which sets its end anew. */
  acquire(name: string, holder: string, ms: number): Promise<Lease>;
  /** Gives it up. Does nothing when somebody else holds it by now. */
  release(name: string, holder: string): Promise<void>;
}

/** One object for all calls. */
export const ACQUIRED: Lease = { kind: "acquired" };
