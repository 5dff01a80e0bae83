/**
 * What takes dead letters of a tenant away, by hand, goes one after the other, over all gateways: two replays at once would
 * send each letter twice, and one beside a delete would send what was deleted. Each looks at the letters in its own turn. A
 * gateway that died is waited for until its lease ends.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { GatewayDeps } from "../request/deps.ts";

/** Longer than a request lives. */
const LEASE_MS = 15_000;
/** How long a turn is waited for, and how often it is asked for meanwhile. */
const WAIT_MS = 2000;
const AGAIN_MS = 50;
const AFTER_S = 2;
const HOLDER_BYTES = 8;

/** Throws `request-in-flight` when others are at work for longer than `WAIT_MS`. */
export async function inDeadLetterTurn<Result>(
  { drivers, clock, entropy }: GatewayDeps,
  tenant: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const name = `dead-letters:${tenant}`;
  // Of this request: another one of this process waits as well.
  const holder = encodeHex(entropy.bytes(HOLDER_BYTES));
  const untilMs = clock.monotonic() + WAIT_MS;
  for (;;) {
    const lease = await drivers.leases.acquire(name, holder, LEASE_MS);
    if (lease.kind === "acquired") break;
    if (clock.monotonic() >= untilMs) throw busy();
    await new Promise<void>((resolve) => void clock.timer(Math.min(AGAIN_MS, lease.retryAfterMs), resolve));
  }
  try {
    return await work();
  } finally {
    // One that fails costs others a wait.
    await drivers.leases.release(name, holder).catch(() => undefined);
  }
}

function busy(): PosthasteError {
  return new PosthasteError("request-in-flight", {
    detail: `Another request replays or deletes dead letters of this tenant. Try again in ${AFTER_S} s.`,
    retryAfterS: AFTER_S,
  });
}
