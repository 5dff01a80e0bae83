/**
 * The transport over one of two HTTP clients: sockets of our own with the runtime's parser on Bun, npm undici elsewhere
 * and by choice. Both open their sockets by `guarded-connect.ts`.
 *
 * Bounds. `connectionsMax` sockets for one origin; further requests to it wait within their deadline. The number of
 * requests in flight is the caller's own semaphore: the transport takes what it is given. Over all origins the idle
 * sockets are closed, longest unused first, once more than `socketsMax` are open.
 *
 * How often the addresses of a name are vetted anew: at each new socket. A socket idles at most `IDLE_MS_MAX` (less if the server says
 * so), carries at most `REQUESTS_PER_SOCKET_MAX` requests, and one that idles is not used again once it is older than
 * `SOCKET_AGE_MS_MAX`.
 *
 * A kept connection that ended before a byte of the answer says nothing of the receiver: the request is sent again at
 * once, on a fresh one, as a part of the same attempt.
 */
import process from "node:process";
import * as tls from "node:tls";

import type { HttpClientChoice } from "../../domain/config.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { Clock, Deadline } from "../../lib/ambient.ts";
import { DeadlineExceeded } from "../../lib/ambient.ts";
import { onAbort } from "../../lib/on-abort.ts";
import type { DeliveryRequest, Transport } from "../../ports/transport.ts";
import { addressesOf, createGuardedConnect } from "./guarded-connect.ts";
import type { DescribedFault } from "./network-fault.ts";
import { ConnectFault, faultOf } from "./network-fault.ts";
import type { HttpClient } from "./http-client.ts";
import { MilestoneRecord } from "./milestones.ts";
import { NotBegun, StaleConnection } from "./http-client.ts";
import type { LookUps } from "./look-ups.ts";
import type { AddressResolver } from "./resolver.ts";
import { vetHost } from "./resolver.ts";
import { runtimeParser } from "./runtime-parser.ts";
import { createSocketClient } from "./socket-client.ts";
import type { Target } from "./target.ts";
import { createTargetParser } from "./target.ts";
import { createUndiciClient } from "./undici-client.ts";
import type { VetterOptions } from "./vetter.ts";
import { createVet, lookUpsOf } from "./vetter.ts";

/** Open sockets over all origins before idle ones are closed; twice the processor's requests in flight. */
export const SOCKETS_MAX = 1024;
/** Sends of one request, those on kept connections that had ended included. */
export const SENDS_MAX = 3;

export interface HttpTransportOptions extends VetterOptions {
  /** Sockets for one origin (scheme, host and port), at least 1. */
  readonly connectionsMax: number;
  /** `SOCKETS_MAX` when left out. */
  readonly socketsMax?: number;
  /** The runtime's own where it is Bun, else undici, when left out or null. */
  readonly client?: HttpClientChoice | null;
  /** PEM texts, trusted beside the runtime's own roots. */
  readonly certificateAuthorities?: readonly string[];
}

export function openHttpTransport(options: HttpTransportOptions): Transport {
  const { clock, allow } = options;
  const parseTarget = createTargetParser();
  const closing = new AbortController();
  const lookUps = lookUpsOf(options, closing.signal);
  const client = createClient(options, closing.signal, lookUps);

  /**
   * Has the host resolved while the request may still be given up as not made. A request that finds an idle socket needs
   * no address; else `connect` asks again and is answered from memory.
   */
  async function resolveFirst(
    target: Target,
    request: DeliveryRequest,
    signal: AbortSignal,
    milestones: MilestoneRecord | null,
  ) {
    using wait = startWait(clock, request, signal);
    const find: AddressResolver = async (name) => {
      const resolution = await lookUps.find(name, request.tenant, wait.signal);
      if (resolution.kind === "found") milestones?.reached("dns");
      return resolution;
    };
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
    const { origin, path } = target;
    const milestones = request.milestones === null ? null : new MilestoneRecord(clock, startedAtMs, request.milestones);
    const wire = { origin, path, headers: request.headers, body: request.body };
    for (let sent = 1; ; sent++) {
      try {
        if (!client.hasSocket(origin)) {
          await resolveFirst(target, request, signal, milestones);
          if (!request.mayBegin()) return faulted(OUTDATED, elapsedMs());
        }
        const timeoutMs = request.timeoutMs - elapsedMs();
        const answer = await client.post(
          wire,
          { clock, timeoutMs, signal, mayBegin: request.mayBegin, milestones },
          request.tenant,
          sent > 1,
        );
        return { kind: "answered", ...answer, durationMs: elapsedMs() };
      } catch (error) {
        if (error instanceof ConnectFault && error.times !== null) milestones?.opened(error.times);
        const isStopping = signal.aborted || closing.signal.aborted || error === request.stopping.reason;
        if (isStopping) return faulted(STOPPING, elapsedMs());
        if (error instanceof NotBegun) return faulted(OUTDATED, elapsedMs());
        // A kept connection had ended: again on a fresh one.
        if (error instanceof StaleConnection && sent < SENDS_MAX) continue;
        const isLate = error instanceof DeadlineExceeded;
        return faulted(faultOf(isLate ? new DeadlineExceeded(request.timeoutMs) : error), elapsedMs());
      }
    }
  }

  return {
    send,
    vet: createVet(options, lookUps),
    async [Symbol.asyncDispose]() {
      if (closing.signal.aborted) return;
      closing.abort(new Error(STOPPING.detail));
      await client.close();
    },
  };
}

const STOPPING: DescribedFault = { fault: "aborted", detail: "the sender is stopping" };
const OUTDATED: DescribedFault = { fault: "aborted", detail: "the process stood still before anything was sent" };

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

/** Throws when the runtime's own client is asked for and there is none. */
function createClient(options: HttpTransportOptions, closing: AbortSignal, lookUps: LookUps): HttpClient {
  const { clock, allow, connectionsMax, socketsMax = SOCKETS_MAX } = options;
  const openSocket = createGuardedConnect({
    clock,
    allow,
    find: (name, tenant, signal) => lookUps.find(name, tenant, signal),
    secureContext: secureContextOf(options.certificateAuthorities ?? []),
    closing,
  });
  const isBun = process.versions["bun"] !== undefined;
  const parser = isBun ? runtimeParser() : null;
  const choice = options.client ?? (parser === null ? "undici" : "runtime");
  if (choice === "undici") return createUndiciClient({ clock, connectionsMax, socketsMax, openSocket });
  if (parser === null) {
    throw new Error("POSTHASTE_HTTP_CLIENT=runtime needs Bun; leave it out, or set POSTHASTE_HTTP_CLIENT=undici");
  }
  return createSocketClient({ clock, parser, connectionsMax, socketsMax, openSocket, closing });
}

/** Null leaves the trust to the runtime. */
function secureContextOf(authorities: readonly string[]): tls.SecureContext | null {
  if (authorities.length === 0) return null;
  // By name and not by import: Bun makes the list when it is looked at, which takes a tenth of a second.
  return tls.createSecureContext({ ca: [...tls.rootCertificates, ...authorities] });
}

function faulted(described: DescribedFault, durationMs: number): AttemptResult {
  return { kind: "fault", fault: described.fault, detail: described.detail, durationMs };
}
