/**
 * A delivery that ends the process would be tried again by the next one, for ever, and take what is under way beside it
 * along each time. So the attempt of each repeat is noted as begun before it is made. The more beginnings of it never ended, the fewer
 * others of that kind are under way beside it, which tells the one that ends processes from those that were near it; after
 * `UNENDED_MAX` it is dead-lettered with the reason.
 *
 * An event that is handed out again is noted in the same way while it is fanned out, under the name of no endpoint.
 *
 * First attempts are not noted: that one of them was under way at a death shows when it is handed out again. A store that
 * cannot be asked costs the count, never the attempt.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { AttemptKey, BegunAttempts } from "@posthaste/shared/ports/begun-attempts.ts";
import type { Ending, PendingDelivery } from "./pending-delivery.ts";
import type { Settle } from "./settle.ts";
import { Units } from "@posthaste/shared/lib/units.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { firstDelivery, firstMember } from "./pending-delivery.ts";

/**
 * Beginnings that never ended, the first attempt not among them: a delivery ends at most one process more than this. The last
 * two were made alone: to be under way alone when the process dies may be chance once.
 */
export const UNENDED_MAX = 5;

/** What a delivery takes by its unended beginnings: 16 of one at once, 4 of two, one alone of more. */
const UNITS = 16;
const UNITS_BY_UNENDED = [0, 1, 4] as const;

/** An object, so that who waits for the start does not wait for the end. */
export interface Started {
  readonly ending: Promise<Ending>;
}

export interface CrashGuard {
  /**
   * Runs `start`, which reads the endpoints of an event that was handed out again and starts its deliveries, unless that ended
   * too many processes. May wait for its turn. What its deliveries do is not its affair.
   */
  fanOut(envelope: Envelope, start: () => Promise<Started>): Promise<Started>;
  /** Runs `work`, which makes the attempt of a repeat, unless that ended too many processes. May wait for its turn. */
  run(delivery: PendingDelivery, work: () => Promise<Ending>): Promise<Ending>;
  /** Right before the request, and only for a delivery with `repeats`: to wait for a slot or a group ends no process. */
  begin(delivery: PendingDelivery): Promise<void>;
  end(delivery: PendingDelivery): Promise<void>;
}

export function createCrashGuard(deps: {
  readonly begunAttempts: BegunAttempts;
  readonly settle: Pick<Settle, "missed">;
  /** Ends the wait for units. */
  readonly stopping: AbortSignal;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}): CrashGuard {
  const { begunAttempts, settle, stopping, onFailure } = deps;
  const units = new Units(UNITS);

  function orElse<Value>(what: string, answer: Promise<Value>, value: Value): Promise<Value> {
    return answer.catch((error: unknown) => {
      onFailure(what, error, 0);
      return value;
    });
  }

  return {
    async fanOut(envelope, start) {
      const event = firstDelivery(envelope, { id: UNKNOWN_ENDPOINT }, true);
      const key = keyOf(event, envelope);
      const unended = await orElse("read begun attempts", begunAttempts.unended(key), 0);
      if (unended >= UNENDED_MAX)
        return { ending: settle.missed(event, "dead", reasonOf(unended, "it was fanned out")) };
      const taken = UNITS_BY_UNENDED[unended] ?? UNITS;
      if (taken > 0 && !(await units.take(taken, stopping))) return { ending: Promise.resolve("released") };
      try {
        await orElse("note begun attempts", begunAttempts.begin([key]), undefined);
        return await start();
      } finally {
        units.give(taken);
        await orElse("note ended attempts", begunAttempts.end([key]), undefined);
      }
    },
    async run(delivery, work) {
      const unended = await orElse(
        "read begun attempts",
        begunAttempts.unended(keyOf(delivery, firstMember(delivery))),
        0,
      );
      if (unended === 0) return work();
      if (unended >= UNENDED_MAX)
        return settle.missed(delivery, "dead", reasonOf(unended, "this attempt was under way"));
      const taken = UNITS_BY_UNENDED[unended] ?? UNITS;
      if (!(await units.take(taken, stopping))) return "released";
      try {
        return await work();
      } finally {
        units.give(taken);
      }
    },
    begin: (delivery) => orElse("note begun attempts", begunAttempts.begin(keysOf(delivery)), undefined),
    // One that stays by mistake counts one too many when this very attempt is handed out once more.
    end: (delivery) => orElse("note ended attempts", begunAttempts.end(keysOf(delivery)), undefined),
  };
}

function keysOf(delivery: PendingDelivery): readonly AttemptKey[] {
  return delivery.repeats.map((member) => keyOf(delivery, member));
}

function keyOf({ tenant, endpointId, generation, attempt }: PendingDelivery, { id }: Envelope): AttemptKey {
  return { tenant, eventId: id, endpointId, generation, attempt };
}

function reasonOf(unended: number, what: string): string {
  return `the processor ended ${unended} times in a row while ${what}; it is not made again by itself`;
}
