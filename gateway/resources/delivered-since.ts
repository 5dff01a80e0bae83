/**
 * Dead letters whose event was delivered to their endpoint since. Processors end them with the delivery; one that still stands, as
 * after a crash between the two or from before an upgrade, is not sent again, and ends here.
 */
import type { DeadLetter, DeliveredSince } from "@posthaste/shared/ports/dead-letters.ts";
import { deliveredSince, successAtMs } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayDeps } from "../request/deps.ts";
import { recordHeldEnded } from "./ended-deliveries.ts";

/** Of one event to one endpoint: one, and one more for each replay. */
const DELIVERIES_MAX = 1000;
/** What the ledger says of one that was held. */
const DELIVERED_SINCE = "not brought back, as the event was delivered since";

/** Null when it is still owed, or when the ledger does not know. */
export async function deliveredSinceLetter(
  { drivers }: Pick<GatewayDeps, "drivers">,
  { tenant, eventId, endpointId, generation }: DeadLetter,
): Promise<DeliveredSince | null> {
  const of = { tenant, eventId, endpointId };
  const success = deliveredSince((await drivers.ledger.deliveries(of, DELIVERIES_MAX, null)).rows, generation);
  return success === null ? null : { ...of, atMs: successAtMs(success) };
}

export async function endDelivered(deps: GatewayDeps, delivered: readonly DeliveredSince[]): Promise<void> {
  if (delivered.length === 0) return;
  recordHeldEnded(deps, await deps.drivers.deadLetters.removeDelivered(delivered), DELIVERED_SINCE);
}
