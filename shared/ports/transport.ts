/**
 * The only way to an endpoint. Guarantees: never follows a redirect, uses no proxy of the environment, talks to no
 * address that the guard forbids (checked again for every new connection, before a TCP packet leaves), reads at most
 * `RESPONSE_BYTES_MAX` bytes of an answer, and ends within the request's deadline. Never throws: whatever happens is
 * an `AttemptResult`. Nothing is sent twice by the driver itself, not even on a broken kept-alive connection: a
 * request that may have reached the receiver is reported as `reset`.
 */
import type { AttemptResult } from "../domain/attempt.ts";

export interface DeliveryRequest {
  /** Absolute http or https URL, already validated by `domain/endpoint.ts`. */
  readonly url: string;
  /** Lower-case names; `host`, `content-length` and `connection` are the driver's. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Total deadline in ms from the call to the last byte kept. */
  readonly timeoutMs: number;
}

export type Vetting =
  | { readonly kind: "allowed" }
  /** At least one address of the host is forbidden; `reason` names the address and its class. */
  | { readonly kind: "forbidden"; readonly reason: string }
  /** The name does not resolve now; the check at connect still stands. */
  | { readonly kind: "unresolved"; readonly reason: string };

export interface Transport {
  /** Sends one POST. `signal` ends it early with fault `aborted`. */
  send(request: DeliveryRequest, signal: AbortSignal): Promise<AttemptResult>;
  /** Resolves the URL's host and checks each address, without connecting; within 5 s. */
  vet(url: string, signal: AbortSignal): Promise<Vetting>;
  [Symbol.asyncDispose](): Promise<void>;
}
