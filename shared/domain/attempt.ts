/**
 * What one HTTP request for a delivery brought back, as the wire said it, before anything is decided.
 * Standard Webhooks 1.0.0, "Deliverability and reliability"; RFC 9110 for status and Retry-After.
 */

/** Why a request ended without an answer; few-valued, so it may label a metric. */
export const FAULTS = [
  "timeout", // the total deadline passed, connect, headers or body
  "connect-refused", // nothing listens there
  "reset", // the connection broke after it was made
  "dns", // the name does not resolve: a name server said so
  "resolver", // no name server of ours gave an answer; no attempt is counted for it
  "exhausted", // this machine had no descriptor, port or memory left; no attempt is counted for it
  "tls", // handshake or certificate
  "forbidden-address", // the address guard said no
  "bad-answer", // what came back is not HTTP
  "unreachable", // no route, or any other network failure
  "aborted", // we were stopping; no attempt is counted for it
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Answered {
  readonly kind: "answered";
  /** 100 to 599. */
  readonly status: number;
  /** The raw `Retry-After` field value, unparsed. */
  readonly retryAfter: string | null;
  /** The first bytes of the body decoded leniently as UTF-8, at most `RESPONSE_BYTES_MAX` bytes. */
  readonly bodyExcerpt: string;
  /** More came than was kept; the connection was closed instead of reading on. */
  readonly isBodyCut: boolean;
  readonly durationMs: number;
}

export interface Faulted {
  readonly kind: "fault";
  readonly fault: Fault;
  /** One sentence for the endpoint's owner, no stack, at most 500 characters. */
  readonly detail: string;
  readonly durationMs: number;
}

export type AttemptResult = Answered | Faulted;

/** A stage of an attempt that ended well. One on a kept connection has none but `first-byte`. */
export interface Milestone {
  /** `dns`: the addresses of the name are known, from memory or asked for; `first-byte`: of the answer. */
  readonly name: "dns" | "connect" | "tls" | "first-byte";
  /** Ms since the attempt began, fractional. */
  readonly sinceStartMs: number;
}

/** Faults of our own: the endpoint was not asked, and nothing is learnt of it. */
const OWN_FAULTS: ReadonlySet<Fault> = new Set(["aborted", "resolver", "exhausted"]);

/** Does it say nothing of the endpoint? */
export function isOwnFault(result: AttemptResult): boolean {
  return result.kind === "fault" && OWN_FAULTS.has(result.fault);
}

/** Bytes of a response that are read and kept; what follows is never downloaded. */
export const RESPONSE_BYTES_MAX = 4096;

/** Total time for one attempt: resolve, connect, TLS, send, headers and body. Standard Webhooks advises 15 to 30 s. */
export const ATTEMPT_DEADLINE_MS = 15_000;

/** Status classes and faults that the record of an attempt can have; those of our own side are no attempt. */
export const RESULT_KINDS = [
  "1xx",
  "2xx",
  "3xx",
  "4xx",
  "5xx",
  "timeout",
  "connect-refused",
  "reset",
  "dns",
  "resolver",
  "exhausted",
  "tls",
  "forbidden-address",
  "bad-answer",
  "unreachable",
] as const satisfies readonly (Exclude<Fault, "aborted"> | `${1 | 2 | 3 | 4 | 5}xx`)[];
/** `4xx`: any answer of that class; else the fault. */
export type ResultKind = (typeof RESULT_KINDS)[number];
