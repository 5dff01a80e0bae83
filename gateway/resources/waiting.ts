/** What an event or a delivery waits for, and since when, from what the ledger holds. */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { WaitsFor } from "../answers/events.ts";

export interface Waiting {
  readonly for: WaitsFor;
  readonly sinceMs: number;
  /** When it goes on, as planned; in the past while it is under way. Null when nobody knows. */
  readonly untilMs: number | null;
}

/** Of a delivery that has a record; null when nothing more is to come without a replay. */
export function waitingOf(view: DeliveryView): Waiting | null {
  const { state, updatedAtMs: sinceMs, nextAttemptAtMs: untilMs } = view;
  switch (state) {
    case "pending":
    case "retrying":
      // Earlier releases recorded no code.
      return { for: view.wait ?? (state === "retrying" ? "retry" : "lane"), sinceMs, untilMs };
    case "paused":
    case "disabled":
    case "backlog":
      return { for: state, sinceMs, untilMs: null };
    case "delivered":
    case "dead":
    case "filtered":
    case "expired":
      return null;
    default:
      return unreachable(state);
  }
}

/** Of what no processor has recorded anything of. */
export function waitingInLane({ acceptedAtMs, deliverAtMs }: Envelope, nowMs: number): Waiting {
  if (deliverAtMs === null) return { for: "lane", sinceMs: acceptedAtMs, untilMs: null };
  const isDue = deliverAtMs <= nowMs;
  return isDue
    ? { for: "lane", sinceMs: deliverAtMs, untilMs: null }
    : { for: "deliver-at", sinceMs: acceptedAtMs, untilMs: deliverAtMs };
}
