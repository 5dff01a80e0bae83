/**
 * The transport over npm undici, on Bun, Node and Deno alike. It must be imported under the alias `undici-npm`: a bare
 * `undici` is on Bun a shim that ignores the connect hook, and with it the address guard.
 *
 * Bounds. `connectionsMax` sockets for one origin; further requests to it wait within their deadline. The number of
 * requests in flight is the caller's own semaphore: the transport takes what it is given. Over all origins the idle
 * sockets are closed, longest unused first, once more than `socketsMax` are open, and an origin's pool goes with its
 * last socket. undici's own `maxOrigins` is not used because it refuses new origins instead of closing old ones.
 *
 * How often the addresses of a name are vetted anew: at each new socket. A socket idles at most `IDLE_MS` (`IDLE_MS_MAX` if the server asks for
 * it), carries at most `REQUESTS_PER_SOCKET_MAX` requests, and one that idles while its origin has no request under way
 * is not used again once it is older than `SOCKET_AGE_MS_MAX`.
 */
import { createSecureContext, rootCertificates } from "node:tls";

import { Agent } from "undici-npm";

import type { Cidr } from "../../domain/address-guard.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { Clock, Deadline } from "../../lib/ambient.ts";
import { DeadlineExceeded } from "../../lib/ambient.ts";
import { unreachable } from "../../lib/assert.ts";
import { onAbort } from "../../lib/on-abort.ts";
import type { DeliveryRequest, Transport, Vetting } from "../../ports/transport.ts";
import { exchange } from "./exchange.ts";
import { addressesOf, createGuardedConnect } from "./guarded-connect.ts";
import type { DescribedFault } from "./network-fault.ts";
import { ConnectFault, faultOf } from "./network-fault.ts";
import type { LookUps } from "./look-ups.ts";
import { createLookUps } from "./look-ups.ts";
import type { AddressResolver } from "./resolver.ts";
import { vetHost } from "./resolver.ts";
import type { OriginUse } from "./socket-ledger.ts";
import { createSocketLedger } from "./socket-ledger.ts";
import { createSystemResolver } from "./system-resolver.ts";
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
  const parseTarget = createTargetParser();
  const closing = new AbortController();
  const resolve = options.resolve ?? createSystemResolver({ clock });
  const lookUps = createLookUps({ clock, resolve, closing: closing.signal });
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
      find: (origin, name, signal) => lookUps.find(name, ledger.tenantOf(origin), signal),
      secureContext: secureContextOf(options.certificateAuthorities ?? []),
      closing: closing.signal,
      onOpened: (origin, socket) => ledger.opened(origin, socket),
    }),
  );

  /**
   * Has the host resolved while the request may still be given up as not made. A request that finds an idle socket needs
   * no address; else `connect` asks again and is answered from memory.
   */
  async function resolveFirst(use: OriginUse, target: Target, request: DeliveryRequest, signal: AbortSignal) {
    if (use.sockets.size >= use.activeCount) return;
    using wait = startWait(clock, request, signal);
    const find: AddressResolver = (name) => lookUps.find(name, request.tenant, wait.signal);
    try {
      addressesOf(await vetHost(target.hostname, allow, find, wait.signal));
    } catch (error) {
      if (!(error instanceof DeadlineExceeded)) throw error;
      const detail = `no name server answered for ${target.hostname} within ${request.timeoutMs} ms`;
      throw new ConnectFault("resolver", detail);
    }
  }

  async function send(request: DeliveryRequest, signal: AbortSignal): Promise<AttemptResult> {
    const startedAtMs = clock.monotonic();
    const elapsedMs = (): number => clock.monotonic() - startedAtMs;
    const target = parseTarget(request.url);
    if (target === null) return faulted({ fault: "unreachable", detail: "the URL is not an http or https URL" }, 0);
    if (signal.aborted || closing.signal.aborted) return faulted(STOPPING, 0);
    const use = ledger.begin(target.origin, request.tenant);
    try {
      await resolveFirst(use, target, request, signal);
      const { headers, body } = request;
      const { origin, path } = target;
      const timeoutMs = request.timeoutMs - elapsedMs();
      const answer = await exchange(agent, { origin, path, headers, body }, { clock, timeoutMs, signal });
      return { kind: "answered", ...answer, durationMs: elapsedMs() };
    } catch (error) {
      const isStopping = signal.aborted || closing.signal.aborted || error === request.stopping.reason;
      const isLate = error instanceof DeadlineExceeded;
      const told = isLate ? new DeadlineExceeded(request.timeoutMs) : error;
      return faulted(isStopping ? STOPPING : faultOf(told), elapsedMs());
    } finally {
      ledger.end(use);
    }
  }

  return {
    send,
    vet: (url, tenant, signal) => vetTarget(parseTarget(url), { clock, allow, lookUps, tenant }, signal),
    async [Symbol.asyncDispose]() {
      if (closing.signal.aborted) return;
      closing.abort(new Error(STOPPING.detail));
      await agent.destroy();
    },
  };
}

const STOPPING: DescribedFault = { fault: "aborted", detail: "the sender is stopping" };

/** Ends at the request's deadline, when nothing new is to begin, and with the request. */
function startWait(clock: Clock, { timeoutMs, stopping }: DeliveryRequest, signal: AbortSignal): Deadline {
  const deadline = clock.deadline(timeoutMs, signal);
  const ending = new AbortController();
  const cancels = [deadline.signal, stopping].map((each) => onAbort(each, () => ending.abort(each.reason)));
  for (const each of [deadline.signal, stopping]) if (each.aborted) ending.abort(each.reason);
  return {
    signal: ending.signal,
    [Symbol.dispose]() {
      for (const cancel of cancels) cancel();
      deadline[Symbol.dispose]();
    },
  };
}

interface VetDeps {
  readonly clock: Clock;
  readonly allow: readonly Cidr[];
  readonly lookUps: LookUps;
  readonly tenant: string;
}

async function vetTarget(target: Target | null, deps: VetDeps, signal: AbortSignal): Promise<Vetting> {
  const { clock, allow, lookUps, tenant } = deps;
  if (target === null) return { kind: "unresolved", reason: "the URL is not an http or https URL" };
  using deadline = clock.deadline(VET_MS_MAX, signal);
  try {
    const find: AddressResolver = (name) => lookUps.find(name, tenant, deadline.signal);
    const vetted = await vetHost(target.hostname, allow, find, deadline.signal);
    switch (vetted.kind) {
      case "allowed":
        return { kind: "allowed" };
      case "forbidden":
        return vetted;
      case "unresolved":
      case "unanswered":
        return { kind: "unresolved", reason: vetted.reason };
      default:
        return unreachable(vetted);
    }
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
