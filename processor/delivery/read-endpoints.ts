/** Reads a tenant's endpoints for a fan-out, where memory alone cannot tell: a few tries, then the event is put aside. */
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { Directory, TenantEndpoints } from "@posthaste/shared/ports/directory.ts";
import { RecentSet } from "@posthaste/shared/lib/recent-set.ts";
import { retry } from "@posthaste/shared/lib/retry.ts";

export interface ReadDeps {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly directory: Pick<Directory, "endpoints">;
  /** Aborted at the end of a stop. */
  readonly signal: AbortSignal;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}

export type EndpointsRead = TenantEndpoints | "unreadable" | "stopping";

export type Read = (tenant: string, atLeastVersion: number) => Promise<EndpointsRead>;

/**
 * Reads of a tenant's endpoints before the event is put aside: about a second and a half, so that a store that blinks
 * costs no detour. A tenant that failed so is read once for a while: a flood of its events must not fill the window.
 */
const READ_TRIES_MAX = 5;
const READ_BACKOFF = { firstMs: 100, maxMs: 1000 } as const;
const UNREADABLE_MS = 5000;
const UNREADABLE_TENANTS_MAX = 1000;

export function createRead({ directory, clock, entropy, signal, onFailure }: ReadDeps): Read {
  const unreadable = new RecentSet<string>({ countMax: UNREADABLE_TENANTS_MAX, age: { ms: UNREADABLE_MS, clock } });
  return async (tenant, atLeastVersion) => {
    const triesMax = unreadable.has(tenant) ? 1 : READ_TRIES_MAX;
    try {
      const read = await retry(() => directory.endpoints(tenant, atLeastVersion), {
        clock,
        entropy,
        signal,
        ...READ_BACKOFF,
        onFailure: (error, waitMs) => onFailure("read directory", error, waitMs),
        isRetriable: (_error, attemptIndex) => attemptIndex + 1 < triesMax,
      });
      return read.kind === "done" ? read.value : "stopping";
    } catch (error) {
      onFailure("read directory", error, 0);
      unreadable.add(tenant);
      return "unreadable";
    }
  };
}
