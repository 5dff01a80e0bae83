/** Takes an event out with all that belongs to it, unless something still refers to it. Within an operation of the writer. */
import { HELD_STATES } from "../../domain/delivery.ts";
import { flowOf } from "../../domain/flow.ts";
import type { Database } from "./database.ts";

export interface EventRemoval {
  /** A lane, the retry queue or a held-back dead letter needs it. */
  isReferred(event: number, tenant: string, eventId: string): boolean;
  /** Deletes up to `rowsMax` rows of the event and returns how many; the event's own row goes last. */
  removeSome(event: number, rowsMax: number): number;
}

export function createEventRemoval(database: Database): EventRemoval {
  const heldStates = HELD_STATES.map((state) => `'${state}'`).join(", ");
  const isReferred = database.prepare<{ found: number }>(
    `SELECT EXISTS (SELECT 1 FROM lane_items WHERE lane IN (0, 1, 2) AND tenant = ?2 AND flow IN (0, ?4) AND event = ?1)
       OR EXISTS (SELECT 1 FROM retry_members WHERE event = ?1)
       OR EXISTS (SELECT 1 FROM dead_letters WHERE event_id = ?3 AND +tenant = ?2 AND state IN (${heldStates})) AS found`,
  );
  const typeOf = database.prepare<{ type: string }>("SELECT type FROM events WHERE id = ?");
  const someDeliveries = database.prepare<{ id: number }>("SELECT id FROM deliveries WHERE event = ? LIMIT ?");
  const removeAttempts = database.prepare("DELETE FROM attempts WHERE delivery = ?");
  const removeDelivery = database.prepare("DELETE FROM deliveries WHERE id = ?");
  const removeFanOut = database.prepare("DELETE FROM fan_outs WHERE event = ?");
  const removeCancellation = database.prepare("DELETE FROM cancellations WHERE event = ?");
  const removeEvent = database.prepare("DELETE FROM events WHERE id = ?");

  function removeSome(event: number, rowsMax: number): number {
    let count = 0;
    for (const { id } of someDeliveries.all(event, rowsMax)) {
      count += Number(removeAttempts.run(id).changes) + Number(removeDelivery.run(id).changes);
      if (count >= rowsMax) return count;
    }
    removeFanOut.run(event);
    removeCancellation.run(event);
    removeEvent.run(event);
    return count + 1;
  }

  return {
    isReferred(event, tenant, eventId) {
      const flow = flowOf(typeOf.get(event)?.type ?? "");
      return isReferred.get(event, tenant, eventId, flow)?.found === 1;
    },
    removeSome,
  };
}
