/**
 * Idempotency: a claim is a lease on a publisher's key (an Idempotency-Key, or the event's own id), taken before the
 * append and turned into the stored answer after it. A crash in between leaves a lease that runs out; whoever retakes
 * it is given the *same* event ids and time, so that the append repeated is the same event, to the byte.
 * ietf-wg-httpapi Idempotency-Key draft (2025-02-26).
 */
import { PosthasteError } from "../domain/errors.ts";

export interface ClaimRequest {
  readonly tenant: string;
  /** `key:` + Idempotency-Key, or `id:` + event id. */
  readonly key: string;
  /** Lower-case hex SHA-256 over method, path and body. */
  readonly fingerprint: string;
  /** Given to the claim when it is new; ignored when it is a repeat. At most `BATCH_EVENTS_MAX`. */
  readonly eventIds: readonly string[];
  /** Epoch ms of the acceptance; as `eventIds`. */
  readonly acceptedAtMs: number;
}

export interface StoredAnswer {
  readonly status: number;
  /** The JSON body as it was sent. */
  readonly body: string;
}

export type Claim =
  /**
   * Yours until the lease ends; use these ids and this time. `isRetake`: an earlier holder may already have appended, and
   * an event has one body, its time included.
   */
  | {
      readonly kind: "claimed";
      readonly eventIds: readonly string[];
      readonly acceptedAtMs: number;
      readonly isRetake: boolean;
    }
  | { readonly kind: "answered"; readonly answer: StoredAnswer }
  | { readonly kind: "in-flight"; readonly retryAfterMs: number }
  /** The key was used with another fingerprint, and its request was not given up. */
  | { readonly kind: "mismatch" };

export type Unclaimed = { readonly kind: "unclaimed" };

export interface Claims {
  /**
   * Durable when it resolves. Throws `overloaded` for a new claim past the bytes of its tenant or of all; one that stands
   * is answered all the same.
   */
  claim(request: ClaimRequest): Promise<Claim>;
  /**
   * As `claim`, for a request that would be refused today: the claim of an earlier one that is the same stands for it still, as that
   * was found good. Where none stands, none is made.
   */
  claimAgain(request: ClaimRequest): Promise<Claim | Unclaimed>;
  /**
   * Stores the answer for `CLAIM_KEPT_MS`, that of an `id:` key at least as long as the event of that id is kept; call
   * it only after the append resolved.
   */
  complete(tenant: string, key: string, answer: StoredAnswer): Promise<void>;
  /**
   * Gives the lease up after a failed append. A repeat of the same request gets the same ids and time; another request
   * takes the key as if it were new, with a time after that of the failed one.
   */
  abandon(tenant: string, key: string): Promise<void>;
}

/** Claims kept at most, with keys, ids and answers; of one tenant at most a share of it. */
export const CLAIM_BYTES_MAX = 4 * 1024 ** 3;
export const CLAIM_TENANT_SHARE = 0.5;
/** Claims are freed hour by hour. */
const CLAIM_RETRY_AFTER_S = 300;

/** The refusal of a new claim: those that stand are promises, and none of them is dropped for it. */
export function claimsFull(of: "tenant" | "all"): PosthasteError {
  const whose = of === "tenant" ? "The tenant has" : "There are";
  return new PosthasteError("overloaded", {
    detail:
      `${whose} as many idempotency keys and event ids of the last 24 hours as can be kept. ` +
      "Publish without an Idempotency-Key and without an id of your own, or try again later; " +
      "who runs this Posthaste can raise the bound (IDEMPOTENCY_GIB).",
    retryAfterS: CLAIM_RETRY_AFTER_S,
  });
}

/** A little longer than the gateway's request budget. */
export const CLAIM_LEASE_MS = 15_000;
export const CLAIM_KEPT_MS = 24 * 3600 * 1000;
