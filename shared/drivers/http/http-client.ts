/** What the transport asks of an HTTP client: one POST over a vetted socket. `undici-client` and `socket-client` are ones. */
import type { Clock } from "../../lib/ambient.ts";
import type { ReceivedAnswer } from "./answer.ts";
import type { MilestoneRecord } from "./milestones.ts";

export interface ExchangeRequest {
  /** Scheme, host and port; a default port is left out. */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  /** What belongs to the connection is left out, in any case of its name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface ExchangeLimits {
  readonly clock: Clock;
  /** For everything: waiting for a socket, connect, request, answer. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** `DeliveryRequest.mayBegin`. */
  readonly mayBegin: () => boolean;
  /** Told of the connection, if it is new, and of the first byte of the answer; null when not asked for. */
  readonly milestones: MilestoneRecord | null;
}

export interface HttpClient {
  /** Is a socket open for one more request to the origin, so that no address is needed? A hint. */
  hasSocket(origin: string): boolean;
  /**
   * Throws `UnwritableRequest`. Rejects with the error of the network, a `BadAnswer`, `NotBegun`, `DeadlineExceeded`, or the signal's reason; at once in each case. A
   * request that still waits for its socket by then is never written. Rejects with `StaleConnection` when the socket
   * had been used before and ended before a byte of the answer; `isFresh` asks for a socket that was not.
   * Once the head of the answer is there, deadline and signal cut the body and no more.
   */
  post(request: ExchangeRequest, limits: ExchangeLimits, tenant: string, isFresh: boolean): Promise<ReceivedAnswer>;
  /** Ends every request, and closes every socket. */
  close(): Promise<void>;
}

/** The request had its connection when `mayBegin` said no: nothing was sent. */
export class NotBegun extends Error {
  override readonly name = "NotBegun";
}

/** A kept connection that was closed before it was of use: that says nothing of the receiver (RFC 9112 section 9.3.1). */
export class StaleConnection extends Error {
  override readonly name = "StaleConnection";
}

/** A connection idles so long before it is closed; less if the receiver says so. */
export const IDLE_MS_MAX = 60_000;
/** Taken off the idle time that a server announces, so that we close first. */
export const IDLE_MARGIN_MS = 1000;
/** A connection that is older is not used again: what its name stands for may have changed. */
export const SOCKET_AGE_MS_MAX = 60_000;
export const REQUESTS_PER_SOCKET_MAX = 1000;

/** `timeout=5, max=100`, in the form that servers use; RFC 2068 section 19.7.1.1. */
export function idleMsOf(value: string): number {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
  if (seconds === undefined) return IDLE_MS_MAX;
  return Math.max(0, Math.min(Number(seconds) * 1000, IDLE_MS_MAX) - IDLE_MARGIN_MS);
}
