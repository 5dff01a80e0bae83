/**
 * How a socket to a receiver comes to be: resolve, vet every address, dial a vetted address, compare what was reached
 * with what was dialled, and only then start TLS. A forbidden address gets no TCP packet. undici's own connector
 * would report the peer after the TLS handshake, which is too late.
 */
import { connect as connectTcp, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { SecureContext } from "node:tls";

import type { buildConnector } from "undici-npm";

import type { Cidr } from "../../domain/address-guard.ts";
import { parseAddress } from "../../domain/address-guard.ts";
import type { Clock } from "../../lib/ambient.ts";
import { DeadlineExceeded } from "../../lib/ambient.ts";
import { unreachable } from "../../lib/assert.ts";
import { ConnectFault, faultOf } from "./network-fault.ts";
import type { AddressResolver } from "./resolver.ts";
import { bareHost, vetHost } from "./resolver.ts";

/** Resolve, dial and TLS together. A connection is not bound to one request, so it has a bound of its own. */
export const CONNECT_MS_MAX = 10_000;
/** One address may take this long while another is left to try. */
export const ADDRESS_MS_MAX = 3000;
/** Of a host's addresses all are vetted; this many are dialled, in the resolver's order. */
export const ADDRESSES_DIALLED_MAX = 8;

export interface GuardedConnectDeps {
  readonly clock: Clock;
  readonly allow: readonly Cidr[];
  readonly resolve: AddressResolver;
  /** Trust of its own for TLS; null means the runtime's. */
  readonly secureContext: SecureContext | null;
  /** Ends every connect that is under way. */
  readonly closing: AbortSignal;
  /** Told of each socket that was made, with its origin (`https://host:port`, default port left out). */
  readonly onOpened: (origin: string, socket: Socket) => void;
}

/** undici's `connect` option. Fails with `ConnectFault` alone, whose missing `code` keeps undici from trying anew. */
export function createGuardedConnect(deps: GuardedConnectDeps): buildConnector.connector {
  return (options, callback) => {
    openSocket(deps, options).then(
      (socket) => callback(null, socket),
      (error: unknown) => callback(asConnectFault(error), null),
    );
  };
}

async function openSocket(deps: GuardedConnectDeps, target: buildConnector.Options): Promise<Socket> {
  using deadline = deps.clock.deadline(CONNECT_MS_MAX, deps.closing);
  const { signal } = deadline;
  const name = bareHost(target.hostname);
  const vetted = await vetHost(name, deps, signal);
  switch (vetted.kind) {
    case "forbidden":
      throw new ConnectFault("forbidden-address", vetted.reason);
    case "unresolved":
      throw new ConnectFault("dns", vetted.reason);
    case "allowed": {
      const isTls = target.protocol === "https:";
      const port = Number(target.port) || (isTls ? 443 : 80);
      const tcp = await dialFirst(deps.clock, vetted.addresses.slice(0, ADDRESSES_DIALLED_MAX), port, signal);
      const socket = isTls ? await startTls(tcp, name, deps.secureContext, signal) : tcp;
      deps.onOpened(`${target.protocol}//${target.host ?? target.hostname}`, socket);
      return socket;
    }
    default:
      return unreachable(vetted);
  }
}

/** The addresses one after the other; the last failure is the one reported. */
async function dialFirst(
  clock: Clock,
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  let failure: unknown = new ConnectFault("unreachable", "the host has no address");
  for (const [index, address] of addresses.entries()) {
    const isLast = index === addresses.length - 1;
    using limit = clock.deadline(isLast ? CONNECT_MS_MAX : ADDRESS_MS_MAX, signal);
    try {
      return await dial(address, port, limit.signal);
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}

async function dial(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connectTcp({ host: address, port, noDelay: true, autoSelectFamily: false });
  await ready(socket, "connect", signal);
  const { remoteAddress } = socket;
  if (remoteAddress === undefined || !isSameAddress(remoteAddress, address)) {
    socket.destroy();
    throw new ConnectFault("forbidden-address", `dialled ${address} but reached ${remoteAddress ?? "nobody"}`);
  }
  return socket;
}

/** Server name indication carries names only (RFC 6066 section 3); an address is checked against the certificate all the same. */
async function startTls(
  tcp: Socket,
  name: string,
  secureContext: SecureContext | null,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = connectTls({
    socket: tcp,
    host: name,
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(secureContext === null ? {} : { secureContext }),
  });
  try {
    await ready(socket, "secureConnect", signal);
  } catch (error) {
    tcp.destroy();
    signal.throwIfAborted();
    throw new ConnectFault("tls", `the TLS handshake failed: ${(error as Error).message}`);
  }
  return socket;
}

/** Resolves at `event`; destroys the socket and rejects at its error, its close, or the signal's abort. */
function ready(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => fail(signal.reason);
    const onClose = (): void => fail(new ConnectFault("reset", "the receiver closed the connection at once"));
    function fail(error: unknown): void {
      signal.removeEventListener("abort", leave);
      socket.destroy();
      reject(error);
    }
    // The error listener stays: a late error of a socket that nobody owns must not end the process.
    socket.on("error", fail);
    socket.once("close", onClose);
    socket.once(event, () => {
      signal.removeEventListener("abort", leave);
      socket.off("error", fail).off("close", onClose).on("error", ignore);
      resolve();
    });
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
  });
}

function ignore(): void {
  // The client that was handed the socket has a listener of its own.
}

/** Compares addresses, not spellings: `::1` is `0:0:0:0:0:0:0:1`, and a mapped IPv4 address may be shown as IPv4. */
function isSameAddress(left: string, right: string): boolean {
  const [a, b] = [parseAddress(left), parseAddress(right)];
  if (a === null || b === null) return false;
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const start = long.length - short.length;
  return (
    long.subarray(0, start).every((byte, index) => byte === MAPPED_PREFIX[index]) &&
    short.every((byte, index) => byte === long[start + index])
  );
}

/** ::ffff:0:0/96, RFC 4291 section 2.5.5.2. */
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];

function asConnectFault(error: unknown): ConnectFault {
  if (error instanceof ConnectFault) return error;
  if (error instanceof DeadlineExceeded) {
    return new ConnectFault("timeout", `no connection was made within ${error.afterMs} ms`);
  }
  const { fault, detail } = faultOf(error);
  return new ConnectFault(fault, detail);
}
