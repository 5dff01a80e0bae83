/**
 * An event that was delivered to an endpoint is not dead there any more, whatever brought it: a resend, a replay, a recovery, a
 * retry that went on beside them, a copy. So its dead letters end with the success: the ledger shows that first, then they
 * are taken out, then the item is acknowledged. Who writes a dead letter looks at the ledger behind it, so that of two that
 * happen at once one sees the other; and a repeat that the ledger shows as made ends what a crash has left between the steps.
 * Nothing is asked of a delivery that came straight from its lane.
 */
import type { DeliveryKey } from "@posthaste/shared/domain/delivery.ts";
import { isHeld } from "@posthaste/shared/domain/delivery.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { DeadLetter, DeadLetters, DeliveredSince } from "@posthaste/shared/ports/dead-letters.ts";
import type { Ledger } from "@posthaste/shared/ports/ledger.ts";
import { deliveredSince, endedEntry, successAtMs } from "@posthaste/shared/ports/ledger.ts";
import type { Settlements } from "./settlements.ts";
import type { UntilStored } from "./until-stored.ts";

/** An ack waits for so long; the dead letters are taken out later, or after a stop within that stand as they did. */
export const ENDS_WAIT_MS = 2000;
/** Deliveries whose dead letters wait for a store that does not answer; the dead letters of further ones stand. */
export const ENDS_WAITING_MAX = 10_000;
/** Of one event to one endpoint: one, and one more for each replay. */
const DELIVERIES_MAX = 1000;
/** What the ledger says of one that was held. */
const DELIVERED_SINCE = "not brought back, as the event was delivered since";

export interface DeadLetterEnds {
  /** Once the ledger shows the deliveries. Resolves when their dead letters are out, or after `ENDS_WAIT_MS`. Never rejects. */
  end(delivered: readonly DeliveredSince[]): Promise<void>;
}

export function createDeadLetterEnds(deps: {
  readonly clock: Pick<Clock, "now" | "timer">;
  readonly ledger: Pick<Ledger, "record" | "recorded">;
  readonly deadLetters: Pick<DeadLetters, "removeDelivered">;
  readonly untilStored: UntilStored;
}): DeadLetterEnds {
  const { clock, ledger, deadLetters, untilStored } = deps;
  let waiting = 0;
  async function takeOut(delivered: readonly DeliveredSince[]): Promise<void> {
    await ledger.recorded();
    const ended = await untilStored("end dead letters", () => deadLetters.removeDelivered(delivered));
    if (ended.kind === "aborted") return;
    const atMs = Math.floor(clock.now());
    const held = ended.value.filter(({ state }) => isHeld(state));
    if (held.length > 0) ledger.record(held.map((each) => endedEntry(each, atMs, DELIVERED_SINCE)));
  }
  return {
    async end(delivered) {
      if (waiting + delivered.length > ENDS_WAITING_MAX) return;
      waiting += delivered.length;
      const ending = takeOut(delivered).finally(() => (waiting -= delivered.length));
      await inTime(clock, ENDS_WAIT_MS, ending);
    },
  };
}

export interface DeliveredLook {
  /** When the event was delivered to the endpoint, after this generation began; null when it was not, or when nobody can tell. */
  since(key: DeliveryKey): Promise<DeliveredSince | null>;
  /** Of dead letters that are written those that end at once. */
  ended(deadLetters: readonly DeadLetter[]): Promise<readonly DeliveredSince[]>;
}

export function createDeliveredLook(deps: {
  readonly ledger: Pick<Ledger, "deliveries">;
  readonly settlements: Pick<Settlements, "flush">;
}): DeliveredLook {
  async function since({ tenant, eventId, endpointId, generation }: DeliveryKey): Promise<DeliveredSince | null> {
    // What was settled a moment ago is not in the ledger before it is written.
    deps.settlements.flush();
    const of = { tenant, eventId, endpointId };
    const page = await deps.ledger.deliveries(of, DELIVERIES_MAX, null).catch(() => null);
    const success = page === null ? null : deliveredSince(page.rows, generation);
    return success === null ? null : { ...of, atMs: successAtMs(success) };
  }
  return {
    since,
    async ended(deadLetters) {
      const found = (await Promise.all(deadLetters.map(since))).filter((each) => each !== null);
      // The standing of a group is one for all of its events, and a held one needs its dead letter to come back.
      const isWhole = found.length === deadLetters.length || deadLetters.every(({ state }) => !isHeld(state));
      return isWhole ? found : [];
    },
  };
}
