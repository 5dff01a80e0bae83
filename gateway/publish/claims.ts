/**
 * The claims of the accept path, so that the same request twice is one event. The order protects from loss and doubles:
 * claim durably, append, store the answer, answer 202. A crash in between leaves a lease that runs out. Whoever retakes
 * the claim gets the same event ids and the same time.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { assert, unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Claim, ClaimRequest, StoredAnswer, Unclaimed } from "@posthaste/shared/ports/claims.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Draft } from "./draft.ts";

/** What a request is answered with. */
export interface Accepted {
  readonly answer: StoredAnswer;
  /** An earlier request stored this answer. */
  readonly isReplay: boolean;
}

/** A claim that this request holds, and must complete or abandon. */
export type HeldClaim = Pick<ClaimRequest, "tenant" | "key">;

type Taken = Extract<Claim, { readonly kind: "claimed" | "answered" }>;
type Refused = { readonly kind: "refused"; readonly error: PosthasteError };

export function claimOfKey(idempotencyKey: string): string {
  return `key:${idempotencyKey}`;
}

export function claimOfId(eventId: string): string {
  return `id:${eventId}`;
}

/** Claims, or gets the answer that is stored. Throws 409 and 422 for a claim that somebody else has. */
export async function takeClaim(deps: GatewayDeps, request: ClaimRequest): Promise<Taken> {
  const taken = await claimOfEvent(deps, request, []);
  assert(taken.kind !== "unclaimed", "what has no faults is claimed");
  return taken;
}

/** As `takeClaim`, for an event with these faults: one that has any is unclaimed unless it repeats what was claimed before. */
export async function claimOfEvent(
  deps: GatewayDeps,
  request: ClaimRequest,
  faults: Draft["faults"],
): Promise<Taken | Unclaimed> {
  const taken = await tryClaim(deps, request, faults);
  if (taken.kind === "refused") throw taken.error;
  return taken;
}

/** As `claimOfEvent`, but a claim that somebody else has is a value. Throws only when the store fails. */
export async function tryClaim(
  { drivers }: GatewayDeps,
  request: ClaimRequest,
  faults: Draft["faults"],
): Promise<Taken | Unclaimed | Refused> {
  const { claims } = drivers;
  const claim = await (faults.length === 0 ? claims.claim(request) : claims.claimAgain(request));
  switch (claim.kind) {
    case "claimed":
    case "answered":
    case "unclaimed":
      return claim;
    case "in-flight":
      return { kind: "refused", error: inFlight(claim.retryAfterMs) };
    case "mismatch":
      // What is wrong with the event itself is the better answer.
      return faults.length > 0 ? { kind: "unclaimed" } : { kind: "refused", error: mismatch(request) };
    default:
      return unreachable(claim);
  }
}

/** The event is durable already. If its answer cannot be stored, a repeat loses its short cut and nothing else. */
export async function completeClaim(deps: GatewayDeps, held: HeldClaim, answer: StoredAnswer): Promise<void> {
  const { tenant, key } = held;
  await deps.drivers.claims.complete(tenant, key, answer).catch(() => {
    deps.telemetry.log.write("warn", "claim.not_completed", { tenant });
  });
}

/** If the lease cannot be given up, it runs out by itself. */
export async function abandonClaim(deps: GatewayDeps, { tenant, key }: HeldClaim): Promise<void> {
  await deps.drivers.claims.abandon(tenant, key).catch(() => {
    deps.telemetry.log.write("warn", "claim.not_abandoned", { tenant });
  });
}

export function idConflict(id: string): PosthasteError {
  const detail = `The event ${id} was published with another body; give this one another id.`;
  return new PosthasteError("id-conflict", {
    detail,
    errors: [{ pointer: "#/id", detail: "is taken by another event" }],
  });
}

function mismatch({ key }: ClaimRequest): PosthasteError {
  if (key.startsWith("id:")) return idConflict(key.slice(3));
  const detail = "This Idempotency-Key was used with another request in the last 24 hours; use a new key.";
  return new PosthasteError("idempotency-mismatch", detail);
}

function inFlight(retryAfterMs: number): PosthasteError {
  return new PosthasteError("request-in-flight", {
    detail: "A request with this key or event id is still running; ask again as Retry-After says.",
    retryAfterS: Math.max(1, Math.ceil(retryAfterMs / 1000)),
  });
}
