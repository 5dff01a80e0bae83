/**
 * What waits for an endpoint that was deleted ends now and not at its time, which may be a week ahead: nobody is to be told of an
 * attempt that will not be made. The ledger alone hears of it. What is planned stays in the retry queue, and goes to the dead
 * letters at its time; a death in between leaves the ledger, too, waiting until then.
 */
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import type { DeliveryView, Ledger } from "@posthaste/shared/ports/ledger.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Settlements } from "../delivery/settlements.ts";
import { DELIVERY_STATES, isFinal, isHeld } from "@posthaste/shared/domain/delivery.ts";
import { endedEntry } from "@posthaste/shared/ports/ledger.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { ENDPOINT_DELETED } from "../endpoint/lookup.ts";

/** Deliveries that are looked at in one turn. */
const PAGE = 50;
const WAITING_STATES = DELIVERY_STATES.filter((state) => !isFinal(state) && !isHeld(state));

export interface EndWaitingDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, "deliveries" | "event">;
  readonly settlements: Pick<Settlements, "record" | "flush">;
  readonly directory: Pick<Directory, "endpoints">;
  /** Aborted at the end of a stop: no further page. */
  readonly signal: AbortSignal;
}

/** Those that the ledger lists of the endpoint. May be done again, and by several processes at once. Rejects as the stores do. */
export async function endWaiting(deps: EndWaitingDeps, tenant: string, endpointId: string): Promise<void> {
  const { ledger, settlements, clock, signal } = deps;
  // What was accepted before the store lost its endpoints does not end by a deletion (`DueEndpoint`).
  const { lostAtMs = -Infinity } = await deps.directory.endpoints(tenant, 0);
  for (const state of WAITING_STATES) {
    let cursor: string | null = null;
    do {
      const page = await ledger.deliveries({ tenant, endpointId, state }, PAGE, cursor);
      const waiting = page.rows.filter(({ acceptedAtMs }) => acceptedAtMs >= lostAtMs);
      // One after the other: each is read with its body, and many endpoints may be deleted at once.
      for (const delivery of waiting) settlements.record(await endedOf(deps, delivery));
      settlements.flush();
      cursor = page.next;
      // Lets everybody else go first: a store may be synchronous.
      await clock.sleep(0, signal).catch(() => undefined);
    } while (cursor !== null && !isAborted(signal));
  }
}

/** Nothing when its event went meanwhile. */
async function endedOf({ ledger, clock }: EndWaitingDeps, delivery: DeliveryView) {
  const event = await ledger.event(delivery.tenant, delivery.eventId);
  if (event === null) return [];
  const { type: eventType } = event.envelope;
  return [endedEntry({ ...delivery, eventType }, Math.floor(clock.now()), ENDPOINT_DELETED.reason)];
}
