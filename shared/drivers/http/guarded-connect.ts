/**
 * How a socket to a receiver comes to be: resolve, vet every address, dial the vetted addresses until one connects,
 * compare what was reached with what was dialled, and only then start TLS. A forbidden address gets no TCP packet. It is
 * `node:net` on every runtime: a dial of `Bun.connect` cannot be given up, and keeps its descriptor for minutes.
 */
import { closeSync, openSync } from "node:fs";
import { connect as connectTcp, isIP, isIPv6 } from "node:net";
import type { Socket } from "node:net";
import { devNull } from "node:os";
import { connect as connectTls } from "node:tls";
import type { SecureContext } from "node:tls";

import type { Cidr } from "../../domain/address-guard.ts";
import { checkAddress, parseAddress } from "../../domain/address-guard.ts";
import type { Clock } from "../../lib/ambient.ts";
import { DeadlineExceeded } from "../../lib/ambient.ts";
import { unreachable } from "../../lib/assert.ts";
import { Lru } from "../../lib/lru.ts";
import { dialFirst, dialOrder } from "./dial-first.ts";
import type { ConnectionTimes } from "./milestones.ts";
import { noTimes } from "./milestones.ts";
import type { DescribedFault } from "./network-fault.ts";
import { codeOf, ConnectFault, faultOf, NoSuchFamily, OUT_OF_DESCRIPTORS } from "./network-fault.ts";
import { lacksFamilyOf } from "./own-families.ts";
import type { Resolution, VettedHost } from "./resolver.ts";
import { bareHost, vetHost } from "./resolver.ts";
import { NO_ALTERNATIVE_NAME, tlsDetail } from "./tls-fault.ts";

/** Resolve, dial and TLS together. A connection is not bound to one request, so it has a bound of its own. */
export const CONNECT_MS_MAX = 10_000;
/** Origins of which it is remembered which address was reached last; the longest unused is forgotten first. */
export const REACHED_KEPT_MAX = 4096;
/** For so long. After that the addresses are tried in the resolver's order again. */
export const REACHED_MS_MAX = 600_000;

export interface GuardedConnectDeps {
  readonly clock: Clock;
  readonly allow: readonly Cidr[];
  /** Resolves a name for the tenant. */
  readonly find: (name: string, tenant: string, signal: AbortSignal) => Promise<Resolution>;
  /** Trust of its own for TLS; null means the runtime's. */
  readonly secureContext: SecureContext | null;
  /** Ends every connect that is under way. */
  readonly closing: AbortSignal;
}

/**
 * Opens a socket to an origin (`https://host:port`, default port left out) for a tenant. Rejects with `ConnectFault`
 * alone, whose missing `code` keeps undici from trying anew.
 */
export type OpenSocket = (origin: string, tenant: string) => Promise<OpenedSocket>;

export interface OpenedSocket {
  readonly socket: Socket;
  readonly times: ConnectionTimes;
}

export function createGuardedConnect(deps: GuardedConnectDeps): OpenSocket {
  const reached = new Lru<string, string>({
    countMax: REACHED_KEPT_MAX,
    age: { ms: REACHED_MS_MAX, clock: deps.clock },
  });
  return async (origin, tenant) => {
    const times = noTimes();
    try {
      return { socket: await openSocket(deps, reached, { origin, tenant, times }), times };
    } catch (error) {
      const { fault, detail } = connectFaultOf(error);
      throw new ConnectFault(fault, detail, times);
    }
  };
}

async function openSocket(
  deps: GuardedConnectDeps,
  reached: Lru<string, string>,
  { origin, tenant, times }: { readonly origin: string; readonly tenant: string; readonly times: ConnectionTimes },
): Promise<Socket> {
  const { clock, allow } = deps;
  using deadline = clock.deadline(CONNECT_MS_MAX, deps.closing);
  const { signal } = deadline;
  const target = new URL(origin);
  const name = bareHost(target.hostname);
  const find = async (host: string): Promise<Resolution> => {
    const resolution = await deps.find(host, tenant, signal);
    if (resolution.kind === "found") times.lookedUpAtMs = clock.monotonic();
    return resolution;
  };
  const vetted = await vetHost(name, allow, find, signal);
  const isTls = target.protocol === "https:";
  const port = Number(target.port) || (isTls ? 443 : 80);
  const dial = (address: string, losing: AbortSignal): Promise<Socket> => dialVetted(address, port, allow, losing);
  const close = (socket: Socket): void => void socket.destroy();
  const order = dialOrder(addressesOf(vetted), reached.get(origin));
  const { address, connection } = await dialFirst({ clock, dial, close }, order, signal);
  times.connectedAtMs = clock.monotonic();
  reached.set(origin, address);
  if (!isTls) return connection;
  const secured = await startTls(connection, name, deps.secureContext, signal);
  times.securedAtMs = clock.monotonic();
  return secured;
}

/** Throws the fault of a host that must or can not be dialled. */
export function addressesOf(vetted: VettedHost): readonly string[] {
  switch (vetted.kind) {
    case "allowed":
      return vetted.addresses;
    case "forbidden":
      throw new ConnectFault("forbidden-address", vetted.reason);
    case "unresolved":
      throw new ConnectFault("dns", vetted.reason);
    case "unanswered":
      throw new ConnectFault("resolver", vetted.reason);
    default:
      return unreachable(vetted);
  }
}

/** The guard stands on both sides of the packet: before the address is dialled, and before what was reached is spoken to. */
async function dialVetted(address: string, port: number, allow: readonly Cidr[], signal: AbortSignal): Promise<Socket> {
  if (checkAddress(address, allow).kind === "forbidden") throw new ConnectFault("forbidden-address", NOT_VETTED);
  const socket = connectTcp({ host: address, port, noDelay: true, autoSelectFamily: false });
  await ready(socket, "connect", signal).catch((error: unknown) => {
    if (isShortOfDescriptors(error)) throw new ConnectFault("exhausted", OUT_OF_DESCRIPTORS);
    const isAddressMissing = error instanceof Error && "code" in error && error.code === "EADDRNOTAVAIL";
    throw isAddressMissing && lacksFamilyOf(address) ? new NoSuchFamily(isIPv6(address) ? "IPv6" : "IPv4") : error;
  });
  const { remoteAddress } = socket;
  if (remoteAddress === undefined || !isSameAddress(remoteAddress, address)) {
    socket.destroy();
    throw new ConnectFault("forbidden-address", NOT_VETTED);
  }
  return socket;
}

/** Bun 1.4.5 says ECONNREFUSED, too, when it has no descriptor for a socket. */
function isShortOfDescriptors(error: unknown): boolean {
  if ((error as { readonly code?: unknown }).code !== "ECONNREFUSED") return false;
  try {
    closeSync(openSync(devNull, "r"));
    return false;
  } catch {
    return true;
  }
}

const NOT_VETTED = "the address that would be reached is not the one that was checked";

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
    // `ready` says so itself when the socket closes without an error.
    throw new ConnectFault("tls", tlsDetail(error instanceof ConnectFault ? "ECONNRESET" : codeOf(error)));
  }
  if (!/\b(?:DNS|IP Address):/.test(socket.getPeerCertificate().subjectaltname ?? "")) {
    socket.destroy();
    throw new ConnectFault("tls", NO_ALTERNATIVE_NAME);
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

function connectFaultOf(error: unknown): DescribedFault {
  if (!(error instanceof DeadlineExceeded)) return faultOf(error);
  return { fault: "timeout", detail: `no connection was made within ${error.afterMs} ms` };
}
