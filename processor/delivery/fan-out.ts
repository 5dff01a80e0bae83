/** Turns one event into deliveries: which endpoints of the tenant subscribe to its type, and which do not. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { FanOut } from "@posthaste/shared/ports/ledger.ts";
import { matches, rulesFor } from "@posthaste/shared/domain/endpoint.ts";
import { FAN_OUT_IDS_MAX } from "@posthaste/shared/ports/ledger.ts";

export interface FannedOut {
  readonly matched: readonly Endpoint[];
  readonly record: FanOut;
}

export type FanOutOf = (envelope: Envelope, endpoints: readonly Endpoint[], nowMs: number) => FannedOut;

/** Fewer are looked through each time. */
const INDEXED_FROM = 32;

/** Where in their list the endpoints with a rule stand, in order. */
type PositionsByRule = ReadonlyMap<string, readonly number[]>;

/**
 * Finds the endpoints of an event by the few rules that take its type, however many there are. `endpoints` are of the event's tenant, and
 * one list until one of them changes: its index is made once, and lives as long as the list.
 */
export function createFanOut(): FanOutOf {
  const indexes = new WeakMap<readonly Endpoint[], PositionsByRule>();
  return (envelope, endpoints, nowMs) => {
    const { tenant, id, type } = envelope;
    const { matched, filtered } =
      endpoints.length < INDEXED_FROM ? splitFew(endpoints, type) : split(endpoints, rulesFor(type, tenant));
    const record = {
      tenant,
      eventId: id,
      atMs: nowMs,
      matched: matched.slice(0, FAN_OUT_IDS_MAX).map((endpoint) => endpoint.id),
      matchedCount: matched.length,
      filtered,
      filteredCount: endpoints.length - matched.length,
    };
    return { matched, record };
  };

  function split(endpoints: readonly Endpoint[], rules: readonly string[]): Split {
    let index = indexes.get(endpoints);
    if (index === undefined) indexes.set(endpoints, (index = indexOf(endpoints)));
    const positions = positionsOf(index, rules);
    const matched = positions.flatMap((position) => endpoints[position] ?? []);
    return { matched, filtered: idsBeside(positions, endpoints) };
  }
}

interface Split {
  readonly matched: readonly Endpoint[];
  /** The first ids of the others. */
  readonly filtered: readonly string[];
}

function splitFew(endpoints: readonly Endpoint[], type: string): Split {
  const matched: Endpoint[] = [];
  const filtered: string[] = [];
  for (const endpoint of endpoints) {
    if (matches(endpoint, type)) matched.push(endpoint);
    else filtered.push(endpoint.id);
  }
  return { matched, filtered };
}

function indexOf(endpoints: readonly Endpoint[]): PositionsByRule {
  const index = new Map<string, number[]>();
  for (const [position, { eventTypes }] of endpoints.entries()) {
    for (const rule of eventTypes) {
      const positions = index.get(rule);
      if (positions === undefined) index.set(rule, [position]);
      else positions.push(position);
    }
  }
  return index;
}

/** Each once, in order: an endpoint may have several of the rules. */
function positionsOf(index: PositionsByRule, rules: readonly string[]): readonly number[] {
  const found = rules.flatMap((rule) => index.get(rule) ?? NONE);
  const [first, second] = found;
  if (first === undefined || second === undefined) return found;
  return [...new Set(found)].toSorted((left, right) => left - right);
}

const NONE: readonly never[] = [];

/** The first ids of those that are not at `positions`. */
function idsBeside(positions: readonly number[], endpoints: readonly Endpoint[]): readonly string[] {
  const ids: string[] = [];
  let next = 0;
  for (const [position, { id }] of endpoints.entries()) {
    if (positions[next] === position) next += 1;
    else if (ids.push(id) === FAN_OUT_IDS_MAX) break;
  }
  return ids;
}
