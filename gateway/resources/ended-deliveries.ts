/**
 * A held dead letter that is taken out by hand ends its delivery: nothing brings it back any more, so the ledger must not
 * show it as held, nor keep its event for it. After the removal: a crash in between costs the reason alone.
 */
import { HELD_STATES } from "@posthaste/shared/domain/delivery.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { GatewayDeps } from "../request/deps.ts";

const IS_HELD: ReadonlySet<string> = new Set(HELD_STATES);

export function recordEnded(deps: GatewayDeps, deadLetters: readonly DeadLetter[], reason: string): void {
  const held = deadLetters.filter(({ state }) => IS_HELD.has(state));
  const atMs = Math.floor(deps.clock.now());
  deps.drivers.ledger.record(
    held.map(({ tenant, eventId, endpointId, generation, attempts, envelope }) => ({
      kind: "delivery",
      delivery: {
        tenant,
        eventId,
        endpointId,
        generation,
        eventType: envelope.type,
        atMs,
        state: "dead",
        attempt: attempts,
        result: null,
        groupId: null,
        nextAttemptAtMs: null,
        reason,
      },
    })),
  );
}
