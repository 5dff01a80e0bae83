/** Whether more than one tenant has something to do in this process: then what one of them leaves for the event loop is bounded. */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";

export interface Company {
  /** An item of the tenant was taken, or an attempt for it ended. */
  met(tenant: string): void;
  isMixed(): boolean;
}

/** How long another tenant counts as there after it was met. */
const BESIDE_MS = 1000;

export function createCompany(clock: Pick<Clock, "monotonic">): Company {
  let last = "";
  let mixedUntilMs = -Infinity;
  return {
    met(tenant) {
      if (tenant === last) return;
      if (last !== "") mixedUntilMs = clock.monotonic() + BESIDE_MS;
      last = tenant;
    },
    isMixed: () => clock.monotonic() < mixedUntilMs,
  };
}
