/** What one reader of the tail wants to see. A filter that asks for what an entry does not have leaves it out. */
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { covers } from "@posthaste/shared/domain/endpoint.ts";
import type { DeliveryState } from "@posthaste/shared/domain/delivery.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { AttemptOutcome } from "@posthaste/shared/domain/outcome.ts";
import type { OutcomeFilter } from "@posthaste/shared/ports/ledger.ts";
import type { TailEntry } from "@posthaste/shared/ports/tail.ts";

export interface TailFilter {
  /** Null: every tenant. */
  readonly tenant: string | null;
  /** Null: every type; else a type, or a prefix with `.*`. */
  readonly type: string | null;
  readonly lane: Lane | null;
  /** Leaves out what is of no endpoint, as accepted events are. */
  readonly endpointId: string | null;
  /** Attempts alone. */
  readonly outcome: OutcomeFilter | null;
}

export function isWanted(filter: TailFilter, entry: TailEntry): boolean {
  const { tenant, type, lane } = filter;
  if (tenant !== null && entry.tenant !== tenant) return false;
  if (lane !== null && entry.lane !== lane) return false;
  if (type !== null && !covers(type, entry.eventType)) return false;
  switch (entry.kind) {
    case "accepted":
      return filter.endpointId === null && filter.outcome === null;
    case "delivery":
      if (filter.endpointId !== null && entry.endpointId !== filter.endpointId) return false;
      return filter.outcome === null || (entry.result !== null && isOutcome(filter.outcome, outcomeOf(entry.state)));
    default:
      return unreachable(entry);
  }
}

/** Of the attempt that left its delivery in this state. */
export function outcomeOf(state: DeliveryState): AttemptOutcome {
  return state === "delivered" || state === "dead" ? state : "retry";
}

function isOutcome(wanted: OutcomeFilter, outcome: AttemptOutcome): boolean {
  return wanted === "failed" ? outcome !== "delivered" : wanted === outcome;
}
