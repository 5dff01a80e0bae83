/** Leases within one process. They end with it: there is nobody else to wait for. */
import type { Clock } from "../../lib/ambient.ts";
import type { Leases } from "../../ports/leases.ts";
import { ACQUIRED } from "../../ports/leases.ts";

interface Held {
  readonly holder: string;
  /** By the monotonic clock. */
  readonly endsAtMs: number;
}

/** Keeps one entry for each lease that was not released. */
export function createLeases(options: { readonly clock: Pick<Clock, "monotonic"> }): Leases {
  const { clock } = options;
  const heldByName = new Map<string, Held>();
  return {
    acquire(name, holder, ms) {
      const nowMs = clock.monotonic();
      const held = heldByName.get(name);
      if (held !== undefined && held.holder !== holder && held.endsAtMs > nowMs) {
        return Promise.resolve({ kind: "held", retryAfterMs: Math.ceil(held.endsAtMs - nowMs) });
      }
      heldByName.set(name, { holder, endsAtMs: nowMs + ms });
      return Promise.resolve(ACQUIRED);
    },
    release(name, holder) {
      if (heldByName.get(name)?.holder === holder) heldByName.delete(name);
      return Promise.resolve();
    },
  };
}
