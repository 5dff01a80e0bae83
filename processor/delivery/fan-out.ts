/** Turns one event into deliveries: which endpoints of the tenant subscribe to its type, and which do not. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { FanOut } from "@posthaste/shared/ports/ledger.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { Lru } from "@posthaste/shared/lib/lru.ts";
import { FAN_OUT_IDS_MAX } from "@posthaste/shared/ports/ledger.ts";

export interface FannedOut {
  readonly matched: readonly Endpoint[];
  readonly record: FanOut;
}

/** What of a fan-out depends on the type and the endpoints alone. */
interface Split {
  readonly endpoints: readonly Endpoint[];
  readonly matched: readonly Endpoint[];
  readonly filteredCount: number;
  readonly matchedIds: readonly string[];
  readonly filteredIds: readonly string[];
}

/** Tenants with fewer endpoints are looked through each time. */
const REMEMBERED_FROM = 32;
/** Types of all tenants together whose split is remembered, and the endpoints and ids in them, a few MB. */
const SPLITS_MAX = 2048;
const SPLIT_ENTRIES_MAX = 500_000;

export type FanOutOf = (envelope: Envelope, endpoints: readonly Endpoint[], nowMs: number) => FannedOut;

/**
 * Remembers lately seen types of tenants with many endpoints: a thousand subscriptions cost a tenth of a millisecond for
 * each event, which everybody else waits for. `endpoints` is one list until it changes.
 */
export function createFanOut(): FanOutOf {
  const splits = new Lru<string, Split>({
    countMax: SPLITS_MAX,
    weight: { max: SPLIT_ENTRIES_MAX, of: ({ matched, filteredIds }) => matched.length + filteredIds.length },
  });
  return (envelope, endpoints, nowMs) => {
    const { tenant, type } = envelope;
    if (endpoints.length < REMEMBERED_FROM) return fannedOut(envelope, split(type, endpoints), nowMs);
    const key = `${tenant}\n${type}`;
    let known = splits.get(key);
    if (known?.endpoints !== endpoints) splits.set(key, (known = split(type, endpoints)));
    return fannedOut(envelope, known, nowMs);
  };
}

function split(type: string, endpoints: readonly Endpoint[]): Split {
  const matched: Endpoint[] = [];
  const filtered: Endpoint[] = [];
  for (const endpoint of endpoints) (matches(endpoint, type) ? matched : filtered).push(endpoint);
  const idsOf = (some: readonly Endpoint[]) => some.slice(0, FAN_OUT_IDS_MAX).map(({ id }) => id);
  const ids = { matchedIds: idsOf(matched), filteredIds: idsOf(filtered) };
  return { endpoints, matched, filteredCount: filtered.length, ...ids };
}

function fannedOut({ tenant, id }: Envelope, of: Split, nowMs: number): FannedOut {
  const { matched, matchedIds, filteredIds, filteredCount } = of;
  const counts = { matchedCount: matched.length, filteredCount };
  return {
    matched,
    record: { tenant, eventId: id, atMs: nowMs, matched: matchedIds, filtered: filteredIds, ...counts },
  };
}
