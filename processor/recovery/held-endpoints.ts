/**
 * Goes through dead letters for the endpoints that they are of, once for each of the last `SEEN_MAX`. Tenants are served beside each other and the
 * endpoints of one in turn, so that what is held of a small tenant does not wait until all of a large one is back: 20,000
 * letters in SQLite take ten seconds (two cores, 2026-11-29).
 */
import type { DeadLetterFilter, DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { RecentSet } from "@posthaste/shared/lib/recent-set.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";

const PAGE = 50;
/** Each has a page of its bodies in memory, 4 MiB. A tenant beyond waits until one of them has nothing more. */
const TENANTS_MAX = 8;
/** Endpoints that are known as done, some 10 MB. One seen longer ago is looked after once more, which finds less or nothing. */
const SEEN_MAX = 50_000;

/** Of one filter after the other. Rejects as the first list or work does that failed; a work that fails keeps no other. */
export async function forEachHeldEndpoint(
  deps: {
    readonly clock: Clock;
    readonly deadLetters: Pick<DeadLetters, "list">;
    readonly work: (tenant: string, endpointId: string) => Promise<void>;
    readonly seenMax?: number;
  },
  filters: readonly DeadLetterFilter[],
  signal: AbortSignal,
): Promise<void> {
  const { clock, deadLetters, work, seenMax = SEEN_MAX } = deps;
  const seen = new RecentSet<string>({ countMax: seenMax });
  const lastByTenant = new Map<string, Promise<void>>();
  const failures: unknown[] = [];

  async function inTurn(tenant: string, endpointId: string): Promise<void> {
    await lastByTenant.get(tenant);
    try {
      if (!isAborted(signal)) await work(tenant, endpointId);
    } catch (error) {
      failures.push(error);
    }
  }

  function begin(tenant: string, endpointId: string): void {
    const last: Promise<void> = inTurn(tenant, endpointId).finally(() => {
      if (lastByTenant.get(tenant) === last) lastByTenant.delete(tenant);
    });
    lastByTenant.set(tenant, last);
  }

  async function goThrough(filter: DeadLetterFilter): Promise<void> {
    let cursor: string | null = null;
    do {
      const page = await deadLetters.list(filter, PAGE, cursor);
      for (const { tenant, endpointId } of page.rows) {
        if (seen.has(endpointId)) continue;
        while (!lastByTenant.has(tenant) && lastByTenant.size >= TENANTS_MAX) await Promise.race(lastByTenant.values());
        seen.add(endpointId);
        begin(tenant, endpointId);
      }
      cursor = page.next;
      // Lets everybody else go first: a store may be synchronous.
      await clock.sleep(0, signal).catch(() => undefined);
    } while (cursor !== null && !isAborted(signal));
  }

  for (const filter of filters) if (!isAborted(signal)) await goThrough(filter);
  await Promise.all(lastByTenant.values());
  if (failures.length > 0) throw failures[0];
}
