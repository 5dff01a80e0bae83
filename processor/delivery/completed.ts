/**
 * Keeps what a queue hands out again from being delivered again, as far as the ledger shows that it was done, and from
 * being tried for ever where it ends the process.
 */
import type { Ledger } from "@posthaste/shared/ports/ledger.ts";
import type { DeliveryTelemetry } from "@posthaste/shared/telemetry/delivery.ts";
import type { CrashGuard } from "./crash-guard.ts";
import type { DeliveredLook } from "./dead-letter-ends.ts";
import type { Ending, PendingDelivery } from "./pending-delivery.ts";
import type { Settlements } from "./settlements.ts";
import { OneAtATime } from "@posthaste/shared/lib/single-flight.ts";
import { firstMember, subjectOf, wasPutOff } from "./pending-delivery.ts";

/**
 * An event handed out again from its lane is asked about as a whole: a delivery that was deferred, postponed or held
 * lives on elsewhere already, and only the event's other endpoints kept it in its lane.
 */
export const ANYTHING = 0;

export interface Completed {
  /**
   * Runs `work` when no other copy of the attempt is under way in this process, and none has made it meanwhile. A repeat, and
   * one that had to wait, is run only where the ledger does not show the attempt as completed; `ANYTHING` asks for any news of the delivery.
   */
  unless(delivery: PendingDelivery, attempt: number, work: () => Promise<Ending>): Promise<Ending>;
  /** The attempt was made, and what came of it is stored: copies that wait in this process have nothing to do. */
  made(delivery: PendingDelivery): void;
  /** Asks once more, right before the attempt. False when the ledger cannot tell. */
  isShown(delivery: PendingDelivery, attempt: number): Promise<boolean>;
}

export function createCompleted(deps: {
  ledger: Pick<Ledger, "isCompleted">;
  settlements: Pick<Settlements, "flush" | "delivered">;
  deliveredLook: Pick<DeliveredLook, "since">;
  crashGuard: Pick<CrashGuard, "run">;
  telemetry: Pick<DeliveryTelemetry, "repeatSkipped">;
}): Completed {
  /** Repeats and due retries: at most what the window holds. */
  const copies = new OneAtATime<string>();
  /** Of those that are under way. */
  const made = new Set<string>();
  return {
    isShown: (delivery, attempt) => isCompleted(deps, delivery, attempt),
    made(delivery) {
      if (copies.count === 0) return;
      const key = keyOf(delivery);
      if (copies.isUnderWay(key)) made.add(key);
    },
    async unless(delivery, attempt, work) {
      const key = keyOf(delivery);
      // A second copy (a crash between two steps of a recovery leaves one, or between a retry and the ack of its event) waits
      // for the first. What that made is made, whether or not the ledger could be told; a group may have other members.
      const isAsked = delivery.isRepeat || copies.isUnderWay(key);
      try {
        return await copies.run(key, async () => {
          if (made.has(key) && delivery.members.length === 1) return "settled";
          if (isAsked && (await isCompleted(deps, delivery, attempt))) return "settled";
          return delivery.isRepeat ? deps.crashGuard.run(delivery, work) : work();
        });
      } finally {
        if (!copies.isUnderWay(key)) made.delete(key);
      }
    },
  };
}

function keyOf(delivery: PendingDelivery): string {
  const { tenant, endpointId, generation, attempt } = delivery;
  return [tenant, firstMember(delivery).id, endpointId, generation, attempt].join("\n");
}

/**
 * A group is over when each of its members is: after a crash members regroup, and the first may have been delivered in
 * other company. When one is not, the whole group goes out again. A ledger that fails costs a repeat.
 */
async function isCompleted(
  deps: Parameters<typeof createCompleted>[0],
  delivery: PendingDelivery,
  attempt: number,
): Promise<boolean> {
  const { ledger, settlements, telemetry } = deps;
  const { tenant, endpointId, generation, members } = delivery;
  // What was settled a moment ago is not in the ledger before it is written.
  settlements.flush();
  try {
    for (const { id: eventId, acceptedAtMs } of members) {
      if (!(await ledger.isCompleted({ tenant, eventId, acceptedAtMs, endpointId, generation }, attempt))) return false;
    }
  } catch {
    return false;
  }
  telemetry.repeatSkipped(subjectOf(delivery));
  if (wasPutOff(delivery)) await endOfCrashed(deps, delivery);
  return true;
}

/** Whoever recorded the attempt may have died before the dead letters of the event were out. */
async function endOfCrashed(
  { settlements, deliveredLook }: Parameters<typeof createCompleted>[0],
  { tenant, endpointId, members }: PendingDelivery,
): Promise<void> {
  for (const { id: eventId } of members) {
    const made = await deliveredLook.since({ tenant, eventId, endpointId, generation: 0 });
    if (made !== null) settlements.delivered([made]);
  }
}
