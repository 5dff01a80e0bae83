/**
 * The only way to an endpoint. Guarantees: never follows a redirect, uses no proxy of the environment, talks to no
 * address that the guard forbids (checked again for every new connection, before a TCP packet leaves), reads at most
 * `RESPONSE_BYTES_MAX` bytes of an answer, and ends within the request's deadline. Never throws: whatever happens is
 * an `AttemptResult`. The head of an answer decides: a body that does not end is cut. The driver sends again in one case: a
 * kept-alive connection ended before a byte of the answer came (RFC 9110 section 9.2.2); on a new one that is `reset`. When no name server answers for the host in time
 * the fault is `resolver`, and nothing was sent. A few look-ups of one tenant are under way at once; those that never
 * answer hold up no other tenant.
 */
import type { AttemptResult, Milestone } from "../domain/attempt.ts";

export interface DeliveryRequest {
  /** Absolute http or https URL, already validated by `domain/endpoint.ts`. */
  readonly url: string;
  /** Whose endpoint it is: look-ups of names are shared out between tenants. */
  readonly tenant: string;
  /** Lower-case names; `host`, `content-length` and `connection` are the driver's. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Total deadline in ms from the call to the last byte kept. */
  readonly timeoutMs: number;
  /** Aborted when nothing new is to begin: a request that still waits for its address ends with fault `aborted`. */
  readonly stopping: AbortSignal;
  /**
   * Asked when the request has waited for its connection, right before its first byte. False, as after a standstill of the
   * process, when another one may have made the request: it ends with fault `aborted`, and nothing was sent.
   */
  readonly mayBegin: () => boolean;
  /** Filled, in the order of time, with what the attempt reached: each name once at most. Null where nobody wants to know. */
  readonly milestones: Milestone[] | null;
}

export type Vetting =
  | { readonly kind: "allowed" }
  /** At least one address of the host is forbidden; `reason` names none that the URL does not name itself. */
  | { readonly kind: "forbidden"; readonly reason: string }
  /** The name does not resolve now; the check at connect still stands. */
  | { readonly kind: "unresolved"; readonly reason: string };

export interface Transport {
  /** Sends one POST. `signal` ends it early with fault `aborted`. */
  send(request: DeliveryRequest, signal: AbortSignal): Promise<AttemptResult>;
  /** Resolves the URL's host for the tenant and checks each address, without connecting; within 5 s. */
  vet(url: string, tenant: string, signal: AbortSignal): Promise<Vetting>;
  [Symbol.asyncDispose](): Promise<void>;
}
