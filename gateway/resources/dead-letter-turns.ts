/**
 * What takes dead letters of a tenant away, by hand, goes one after the other, over all gateways: two replays at once would
 * send each letter twice, and one beside a delete would send what was deleted. Each looks at the letters in its own turn. What
 * is held for an endpoint comes back by itself when that is active again: then one of the two waits for the other as well, or
 * leaves it the letters of that endpoint. A gateway that died is waited for until its lease ends.
 */
import { isHeld } from "@posthaste/shared/domain/delivery.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { DeadLetter, DeadLetterFilter } from "@posthaste/shared/ports/dead-letters.ts";
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
  const holder = newHolder(entropy);
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

/**
 * For a turn whose filter names no endpoint: works on those of the letters that nobody brings back while it does. Who brings
 * back what is held for an endpoint is not waited for; the letters of that endpoint are left to it.
 */
export async function besideNoRecovery<Result>(
  { drivers, entropy }: Pick<GatewayDeps, "drivers" | "entropy">,
  letters: readonly DeadLetter[],
  work: (own: readonly DeadLetter[]) => Promise<Result>,
): Promise<Result> {
  const { leases, deadLetters } = drivers;
  const holder = newHolder(entropy);
  const ours = new Set<string>();
  await using held = new AsyncDisposableStack();
  const acquire = async (endpointId: string): Promise<void> => {
    const name = heldLettersLease(endpointId);
    if ((await leases.acquire(name, holder, LEASE_MS)).kind !== "acquired") return;
    ours.add(endpointId);
    held.defer(() => leases.release(name, holder).catch(() => undefined));
  };
  const endpoints = new Set(letters.filter(({ state }) => isHeld(state)).map(({ endpointId }) => endpointId));
  await Promise.all(Array.from(endpoints, acquire));
  // What is held was listed before it was ours.
  const own = letters.map(async (letter) => {
    if (!isHeld(letter.state)) return letter;
    return ours.has(letter.endpointId) ? await deadLetters.find(letter.id) : null;
  });
  const found = await Promise.all(own);
  return await work(found.filter((letter) => letter !== null));
}

/** Of this request: another one of this process waits as well. */
function newHolder(entropy: GatewayDeps["entropy"]): string {
  return encodeHex(entropy.bytes(HOLDER_BYTES));
}

/** Always in this order, so that no two wait for each other. */
function leasesOf({ tenant, endpointId, state }: TakenLetters): readonly string[] {
  const mayBeHeld = state === undefined || isHeld(state);
  return [`dead-letters:${tenant}`, ...(mayBeHeld && endpointId !== undefined ? [heldLettersLease(endpointId)] : [])];
}

function busy(): PosthasteError {
  return new PosthasteError("request-in-flight", {
    detail: `Dead letters of this tenant are being replayed, deleted or brought back. Try again in ${AFTER_S} s.`,
    retryAfterS: AFTER_S,
  });
}
