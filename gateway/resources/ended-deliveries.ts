/**
 * A held dead letter that is taken out by hand ends its delivery: nothing brings it back any more, so the ledger must not
 * show it as held, nor keep its event for it. After the removal: a crash in between costs the reason alone.
 */
import { isHeld } from "@posthaste/shared/domain/delivery.ts";
import type { DeadLetter, EndedDeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import { endedEntry } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayDeps } from "../request/deps.ts";

export function recordEnded(deps: GatewayDeps, deadLetters: readonly DeadLetter[], reason: string): void {
  const ended = deadLetters.map((deadLetter) => ({ ...deadLetter, eventType: deadLetter.envelope.type }));
  recordHeldEnded(deps, ended, reason);
}

/** Of those that were held. */
export function recordHeldEnded(deps: GatewayDeps, ended: readonly EndedDeadLetter[], reason: string): void {
  const held = ended.filter(({ state }) => isHeld(state));
  const atMs = Math.floor(deps.clock.now());
  deps.drivers.ledger.record(held.map((each) => endedEntry(each, atMs, reason)));
}
