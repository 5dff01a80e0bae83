/**
 * Runs work under a claim, so that the same request twice is one event. The order protects from loss and from doubles:
 * claim durable, then append, then the stored answer, then 202. A crash in between leaves a lease that runs out, and
 * whoever comes next works with the same event ids.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Claim, ClaimRequest, Claims, StoredAnswer } from "@posthaste/shared/ports/claims.ts";
import type { Log } from "@posthaste/shared/telemetry/log.ts";

export interface Claimed {
  readonly answer: StoredAnswer;
  /** It was stored by an earlier request. */
  readonly isReplay: boolean;
}

export interface ClaimDeps {
  readonly claims: Claims;
  readonly log: Log;
}

/** What an event that may be appended twice must have the same both times. */
export interface Identity {
  readonly eventIds: readonly string[];
  readonly acceptedAtMs: number;
}

/** `work` gets the ids and the time to use; what it throws is thrown on, after the lease is given up. */
export async function withClaim(
  deps: ClaimDeps,
  request: ClaimRequest,
  work: (identity: Identity) => Promise<Claimed>,
): Promise<Claimed> {
  const taken = takenOf(await deps.claims.claim(request), request.key);
  if (taken instanceof PosthasteError) throw taken;
  if (taken.kind === "answered") return { answer: taken.answer, isReplay: true };
  try {
    const done = await work(taken);
    await completeClaim(deps, request.tenant, request.key, done.answer);
    return done;
  } catch (failure) {
    await abandonClaim(deps, request.tenant, request.key);
    throw failure;
  }
}

/** The event is durable already, so an answer that cannot be stored costs a repeat its short cut and nothing else. */
export async function completeClaim(deps: ClaimDeps, tenant: string, key: string, answer: StoredAnswer): Promise<void> {
  await deps.claims.complete(tenant, key, answer).catch(() => {
    deps.log.write("warn", "claim.not_completed", { tenant });
  });
}

/** A lease that cannot be given up runs out by itself. */
export async function abandonClaim(deps: ClaimDeps, tenant: string, key: string): Promise<void> {
  await deps.claims.abandon(tenant, key).catch(() => {
    deps.log.write("warn", "claim.not_abandoned", { tenant });
  });
}

type Taken = Extract<Claim, { readonly kind: "claimed" | "answered" }>;

/** What to go on with, or what a claim that is not ours means to the caller. */
export function takenOf(claim: Claim, key: string): Taken | PosthasteError {
  switch (claim.kind) {
    case "claimed":
    case "answered":
      return claim;
    case "in-flight":
      return inFlight(claim.retryAfterMs);
    case "mismatch":
      return key.startsWith("id:") ? idConflict(key.slice(3)) : keyMismatch();
    default:
      return unreachable(claim);
  }
}

export function idConflict(id: string): PosthasteError {
  const detail = `The event ${id} was published with another body; give this one another id.`;
  return new PosthasteError("id-conflict", {
    detail,
    errors: [{ pointer: "#/id", detail: "is taken by another event" }],
  });
}

function keyMismatch(): PosthasteError {
  const detail = "This Idempotency-Key was used with another request in the last 24 hours; use a new key.";
  return new PosthasteError("idempotency-mismatch", detail);
}

function inFlight(retryAfterMs: number): PosthasteError {
  return new PosthasteError("request-in-flight", {
    detail: "A request with this key or event id is still running; ask again as Retry-After says.",
    retryAfterS: Math.max(1, Math.ceil(retryAfterMs / 1000)),
  });
}
