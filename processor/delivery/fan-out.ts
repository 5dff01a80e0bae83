/** Turns one event into deliveries: which endpoints of the tenant subscribe to its type, and which do not. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { FanOut } from "@posthaste/shared/ports/ledger.ts";
import { matches, rulesFor } from "@posthaste/shared/domain/endpoint.ts";
import { Lru } from "@posthaste/shared/lib/lru.ts";
import { FILTERED_IDS_MAX, MATCHED_IDS_MAX } from "@posthaste/shared/ports/ledger.ts";

export interface FannedOut {
  readonly matched: readonly Endpoint[];
  readonly record: FanOut;
}

export type FanOutOf = (envelope: Envelope, endpoints: readonly Endpoint[], nowMs: number) => FannedOut;

/** Fewer are looked through each time. */
const INDEXED_FROM = 32;
/** Rules that all indexes hold together, 80 MB (Bun 1.4.5); a tenant with more of them alone is looked through each time. */
const RULES_MAX = 500_000;
const INDEXES_MAX = 2048;

interface Index {
  /** The list that it was made from. */
  readonly endpoints: readonly Endpoint[];
  /** Where the endpoints with a rule stand in it, in order. */
  readonly positionsByRule: ReadonlyMap<string, readonly number[]>;
  readonly rules: number;
}

/**
 * Finds the endpoints of an event by the few rules that take its type, however many there are. `endpoints` are of the event's tenant, and
 * one list until one of them changes. Its index is made when it is seen for the second time: where endpoints change with each event, to look
 * through them is cheaper.
 */
export function createFanOut({ rulesMax } = { rulesMax: RULES_MAX }): FanOutOf {
  const indexes = new Lru<string, Index>({
    countMax: INDEXES_MAX,
    weight: { max: rulesMax, of: ({ rules }) => rules },
  });
  /** Lists that were looked through since they have no index. */
  const seen = new WeakSet<readonly Endpoint[]>();
  return (envelope, endpoints, nowMs) => {
    const { tenant, id, type } = envelope;
    const index = endpoints.length < INDEXED_FROM ? null : indexFor(tenant, endpoints);
    const { matched, filtered } =
      index === null ? lookThrough(endpoints, type) : split(endpoints, positionsOf(index, rulesFor(type, tenant)));
    const record = {
      tenant,
      eventId: id,
      atMs: nowMs,
      matched: matched.slice(0, MATCHED_IDS_MAX).map((endpoint) => endpoint.id),
      matchedCount: matched.length,
      filtered,
      filteredCount: endpoints.length - matched.length,
    };
    return { matched, record };
  };

  /** Null: it is looked through this time. */
  function indexFor(tenant: string, endpoints: readonly Endpoint[]): Index["positionsByRule"] | null {
    const known = indexes.get(tenant);
    if (known?.endpoints === endpoints) return known.positionsByRule;
    if (!seen.delete(endpoints)) {
      seen.add(endpoints);
      return null;
    }
    const rules = endpoints.reduce((sum, { eventTypes }) => sum + eventTypes.length, 0);
    if (rules > rulesMax) return null;
    const positionsByRule = indexOf(endpoints);
    indexes.set(tenant, { endpoints, positionsByRule, rules });
    return positionsByRule;
  }
}

interface Split {
  readonly matched: readonly Endpoint[];
  /** The first ids of the others. */
  readonly filtered: readonly string[];
}

function lookThrough(endpoints: readonly Endpoint[], type: string): Split {
  const matched: Endpoint[] = [];
  const filtered: string[] = [];
  for (const endpoint of endpoints) {
    if (matches(endpoint, type)) matched.push(endpoint);
    else if (filtered.length < FILTERED_IDS_MAX) filtered.push(endpoint.id);
  }
  return { matched, filtered };
}

function split(endpoints: readonly Endpoint[], positions: readonly number[]): Split {
  const matched = positions.flatMap((position) => endpoints[position] ?? []);
  return { matched, filtered: idsBeside(positions, endpoints) };
}

function indexOf(endpoints: readonly Endpoint[]): ReadonlyMap<string, readonly number[]> {
  const index = new Map<string, number[]>();
  for (const [position, { eventTypes }] of endpoints.entries()) {
    for (const rule of eventTypes) {
      const positions = index.get(rule);
      if (positions === undefined) index.set(rule, [position]);
      // An endpoint may name a rule twice.
      else if (positions.at(-1) !== position) positions.push(position);
    }
  }
  return index;
}

/** Each once, in order: an endpoint may have several of the rules. */
function positionsOf(index: ReadonlyMap<string, readonly number[]>, rules: readonly string[]): readonly number[] {
  const found = rules.flatMap((rule) => {
    const positions = index.get(rule);
    return positions === undefined ? [] : [positions];
  });
  const [first, second] = found;
  if (first === undefined) return [];
  return second === undefined ? first : [...new Set(found.flat())].toSorted((left, right) => left - right);
}

/** The first ids of those that are not at `positions`. */
function idsBeside(positions: readonly number[], endpoints: readonly Endpoint[]): readonly string[] {
  const ids: string[] = [];
  let next = 0;
  for (const [position, { id }] of endpoints.entries()) {
    if (positions[next] === position) next += 1;
    else if (ids.push(id) === FILTERED_IDS_MAX) break;
  }
  return ids;
}
