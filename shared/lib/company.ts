/**
 * Whether one tenant alone has something to do, or several have. What holds up everybody is done in smaller pieces while tenants are
 * beside each other, which costs something.
 */
import type { Clock } from "./ambient.ts";

export interface Company {
  /** The tenant has something to do here. */
  met(tenant: string): void;
  /** More than one had something to do within the last second. */
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
