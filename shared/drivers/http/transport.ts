/**
 * The transport over npm undici, on Bun, Node and Deno alike. It must be imported under the alias `undici-npm`: a bare
 * `undici` is on Bun a shim that ignores the connect hook, and with it the address guard.
 *
 * Bounds. `connectionsMax` sockets for one origin; further requests to it wait within their deadline. The number of
 * requests in flight is the caller's own semaphore: the transport takes what it is given. Over all origins the idle
 * sockets are closed, longest unused first, once more than `socketsMax` are open, and an origin's pool goes with its
 * last socket. undici's own `maxOrigins` is not used because it refuses new origins instead of closing old ones.
 *
 * How often a name is resolved and vetted anew: a socket idles at most `IDLE_MS` (`IDLE_MS_MAX` if the server asks for
 * it), carries at most `REQUESTS_PER_SOCKET_MAX` requests, and one that idles while its origin has no request under way
 * is not used again once it is older than `SOCKET_AGE_MS_MAX`.
 */
import { createSecureContext, rootCertificates } from "node:tls";

import { Agent } from "undici-npm";

import type { Cidr } from "../../domain/address-guard.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { DeliveryRequest, Transport, Vetting } from "../../ports/transport.ts";
import { exchange } from "./exchange.ts";
import { createGuardedConnect } from "./guarded-connect.ts";
import type { DescribedFault } from "./network-fault.ts";
import { faultOf } from "./network-fault.ts";
import type { AddressResolver, Guard } from "./resolver.ts";
import { systemResolver, vetHost } from "./resolver.ts";
import { createSocketLedger } from "./socket-ledger.ts";
import type { Target } from "./target.ts";
import { createTargetParser } from "./target.ts";

export const IDLE_MS = 30_000;
export const IDLE_MS_MAX = 60_000;
export const SOCKET_AGE_MS_MAX = 60_000;
export const REQUESTS_PER_SOCKET_MAX = 1000;
/** Taken off the idle time that a server announces, so that we close first. */
export const IDLE_MARGIN_MS = 1000;
/** All header fields of an answer together. */
export const RESPONSE_HEADER_BYTES_MAX = 16 * 1024;
/** Open sockets over all origins before idle ones are closed; twice the processor's requests in flight. */
export const SOCKETS_MAX = 1024;
/** Time for `vet`. */
export const VET_MS_MAX = 5000;

export interface HttpTransportOptions {
  readonly clock: Clock;
  /** Forbidden ranges that are allowed all the same; empty in ordinary service. */
  readonly allow: readonly Cidr[];
  /** The system's resolver when left out. */
  readonly resolve?: AddressResolver;
  /** Sockets for one origin (scheme, host and port), at least 1. */
  readonly connectionsMax: number;
  /** `SOCKETS_MAX` when left out. */
  readonly socketsMax?: number;
  /** PEM texts, trusted beside the runtime's own roots. */
  readonly certificateAuthorities?: readonly string[];
}

export function openHttpTransport(options: HttpTransportOptions): Transport {
  const { clock, allow } = options;
  const resolve = options.resolve ?? systemResolver;
  const parseTarget = createTargetParser();
  const closing = new AbortController();
  const ledger = createSocketLedger({
    clock,
    socketsMax: options.socketsMax ?? SOCKETS_MAX,
    ageMsMax: SOCKET_AGE_MS_MAX,
  });
  const agent = createAgent(
    options.connectionsMax,
    createGuardedConnect({
      clock,
      allow,
      resolve,
      secureContext: secureContextOf(options.certificateAuthorities ?? []),
      closing: closing.signal,
      onOpened: (origin, socket) => ledger.opened(origin, socket),
    }),
  );

  async function send(request: DeliveryRequest, signal: AbortSignal): Promise<AttemptResult> {
    const startedAtMs = clock.monotonic();
    const target = parseTarget(request.url);
    if (target === null) return faulted({ fault: "unreachable", detail: "the URL is not an http or https URL" }, 0);
    if (signal.aborted || closing.signal.aborted) return faulted(STOPPING, 0);
    const use = ledger.begin(target.origin);
    try {
      const { headers, body, timeoutMs } = request;
      const { origin, path } = target;
      const answer = await exchange(agent, { origin, path, headers, body }, { clock, timeoutMs, signal });
      return { kind: "answered", ...answer, durationMs: clock.monotonic() - startedAtMs };
    } catch (error) {
      const fault = signal.aborted || closing.signal.aborted ? STOPPING : faultOf(error);
      return faulted(fault, clock.monotonic() - startedAtMs);
    } finally {
      ledger.end(use);
    }
  }

  return {
    send,
    vet: (url, signal) => vetTarget(parseTarget(url), { clock, allow, resolve }, signal),
    async [Symbol.asyncDispose]() {
      if (closing.signal.aborted) return;
      closing.abort(new Error(STOPPING.detail));
      await agent.destroy();
    },
  };
}

const STOPPING: DescribedFault = { fault: "aborted", detail: "the sender is stopping" };

async function vetTarget(
  target: Target | null,
  deps: Guard & { readonly clock: Clock },
  signal: AbortSignal,
): Promise<Vetting> {
  if (target === null) return { kind: "unresolved", reason: "the URL is not an http or https URL" };
  using deadline = deps.clock.deadline(VET_MS_MAX, signal);
  try {
    const vetted = await vetHost(target.hostname, deps, deadline.signal);
    return vetted.kind === "allowed" ? { kind: "allowed" } : vetted;
  } catch {
    return { kind: "unresolved", reason: `the name ${target.hostname} was not resolved in time` };
  }
}

/** Header and body timeouts are off: the total deadline of each request covers both. */
function createAgent(connectionsMax: number, connect: ReturnType<typeof createGuardedConnect>): Agent {
  return new Agent({
    connect,
    connections: connectionsMax,
    pipelining: 1,
    allowH2: false,
    maxRequestsPerClient: REQUESTS_PER_SOCKET_MAX,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS_MAX,
    keepAliveTimeoutThreshold: IDLE_MARGIN_MS,
    maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

/** Null leaves the trust to the runtime. */
function secureContextOf(authorities: readonly string[]): ReturnType<typeof createSecureContext> | null {
  if (authorities.length === 0) return null;
  return createSecureContext({ ca: [...rootCertificates, ...authorities] });
}

function faulted(described: DescribedFault, durationMs: number): AttemptResult {
  return { kind: "fault", fault: described.fault, detail: described.detail, durationMs };
}
