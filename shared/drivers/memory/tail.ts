/** The tail within one process: every watcher is told before `publish` returns, so nothing is ever lost here. */
import type { Heard, Tail } from "../../ports/tail.ts";

/** `onFault` gets what a listener threw. */
export function createTail(options: { readonly onFault: (error: unknown) => void }): Tail {
  const watches = new Set<Watch>();
  return {
    isWatched: (tenant) => watches.size > 0 && isWanted(watches, tenant),
    publish(entries) {
      tellAll(watches, { entries, lost: 0 }, options.onFault);
    },
    watch(tenants, listener) {
      const watch = { tenants, listener };
      watches.add(watch);
      return () => void watches.delete(watch);
    },
  };
}

interface Watch {
  readonly tenants: ReadonlySet<string> | null;
  readonly listener: (heard: Heard) => void;
}

function isWanted(watches: Iterable<Watch>, tenant: string): boolean {
  for (const { tenants } of watches) if (tenants === null || tenants.has(tenant)) return true;
  return false;
}

function tellAll(watches: ReadonlySet<Watch>, heard: Heard, onFault: (error: unknown) => void): void {
  for (const { listener } of Array.from(watches)) {
    try {
      listener(heard);
    } catch (error) {
      onFault(error);
    }
  }
}
