/**
 * What takes dead letters of a tenant away, by hand, goes one after the other, over all gateways: two replays at once would
 * send each letter twice, and one beside a delete would send what was deleted. Each looks at the letters in its own turn. What
 * is held for an endpoint comes back by itself when that is active again: then one of the two waits for the other as well. A
 * gateway that died is waited for until its lease ends.
 */
import { HELD_STATES } from "@posthaste/shared/domain/delivery.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { DeadLetterFilter } from "@posthaste/shared/ports/dead-letters.ts";
import { heldLettersLease } from "@posthaste/shared/ports/leases.ts";
import type { GatewayDeps } from "../request/deps.ts";

/** Longer than a request lives. */
const LEASE_MS = 15_000;
/** How long a turn is waited for, and how often it is asked for meanwhile. */
const WAIT_MS = 2000;
const AGAIN_MS = 50;
const AFTER_S = 2;
const HOLDER_BYTES = 8;

/** Of all endpoints of the tenant when the filter names none. */
export type TakenLetters = Pick<DeadLetterFilter, "endpointId" | "state"> & { readonly tenant: string };

/** Throws `request-in-flight` when others are at work for longer than `WAIT_MS`. */
export async function inDeadLetterTurn<Result>(
  { drivers, clock, entropy }: GatewayDeps,
  taken: TakenLetters,
  work: () => Promise<Result>,
): Promise<Result> {
  const { leases } = drivers;
  // Of this request: another one of this process waits as well.
  const holder = encodeHex(entropy.bytes(HOLDER_BYTES));
  const untilMs = clock.monotonic() + WAIT_MS;
  await using held = new AsyncDisposableStack();
  for (const name of leasesOf(taken)) {
    for (;;) {
      const lease = await leases.acquire(name, holder, LEASE_MS);
      if (lease.kind === "acquired") break;
      if (clock.monotonic() >= untilMs) throw busy();
      await new Promise<void>((resolve) => void clock.timer(Math.min(AGAIN_MS, lease.retryAfterMs), resolve));
    }
    // One that fails costs others a wait.
    held.defer(() => leases.release(name, holder).catch(() => undefined));
  }
  return await work();
}

/** Always in this order, so that no two wait for each other. */
function leasesOf({ tenant, endpointId, state }: TakenLetters): readonly string[] {
  const isHeld = state === undefined || HELD_STATES.some((each) => each === state);
  return [`dead-letters:${tenant}`, ...(isHeld && endpointId !== undefined ? [heldLettersLease(endpointId)] : [])];
}

function busy(): PosthasteError {
  return new PosthasteError("request-in-flight", {
    detail: `Dead letters of this tenant are being replayed, deleted or brought back. Try again in ${AFTER_S} s.`,
    retryAfterS: AFTER_S,
  });
}
