/**
 * The client over npm undici: on Node and Deno, and on Bun with `POSTHASTE_HTTP_CLIENT=undici`. It must be imported under
 * the alias `undici-npm`: a bare `undici` is on Bun a shim that ignores the connect hook, and with it the address guard.
 *
 * `connectionsMax` sockets for one origin; further requests to it wait within their deadline. Over all origins the idle
 * sockets are closed, longest unused first, once more than `socketsMax` are open, and an origin's pool goes with its
 * last socket. undici's own `maxOrigins` is not used because it refuses new origins instead of closing old ones.
 */
import { createRequire } from "node:module";
import type { Agent, buildConnector } from "undici-npm";

import type { Clock } from "../../lib/ambient.ts";
import { RESPONSE_HEADER_BYTES_MAX } from "./answer.ts";
import { exchange } from "./exchange.ts";
import type { OpenedSocket, OpenSocket } from "./guarded-connect.ts";
import type { HttpClient } from "./http-client.ts";
import { IDLE_MARGIN_MS, IDLE_MS_MAX, REQUESTS_PER_SOCKET_MAX, SOCKET_AGE_MS_MAX } from "./http-client.ts";
import type { SocketLedger } from "./socket-ledger.ts";
import { createSocketLedger } from "./socket-ledger.ts";
import { sendableFields } from "./request-bytes.ts";
import { SocketWatch } from "./watched-socket.ts";

export interface UndiciClientOptions {
  readonly clock: Clock;
  readonly connectionsMax: number;
  readonly socketsMax: number;
  readonly openSocket: OpenSocket;
}

export function createUndiciClient(options: UndiciClientOptions): HttpClient {
  const { clock, connectionsMax, socketsMax, openSocket } = options;
  const ledger = createSocketLedger({ clock, socketsMax, ageMsMax: SOCKET_AGE_MS_MAX });
  const watch = new SocketWatch();
  const agent = createAgent(connectionsMax, createConnector(openSocket, ledger, watch));
  return {
    hasSocket: (origin) => ledger.hasIdle(origin),
    async post(request, limits, tenant, isFresh) {
      const sendable = { ...request, headers: sendableFields(request.headers) };
      if (isFresh) ledger.closeIdle(request.origin);
      const use = ledger.begin(request.origin, tenant);
      try {
        return await exchange(agent, sendable, limits, watch);
      } finally {
        ledger.end(use);
      }
    },
    close: () => agent.destroy(),
  };
}

/** undici's `connect` option. */
function createConnector(openSocket: OpenSocket, ledger: SocketLedger, watch: SocketWatch): buildConnector.connector {
  return ({ protocol, host, hostname }, callback) => {
    const origin = `${protocol}//${host ?? hostname}`;
    const opened = ({ socket, times }: OpenedSocket): void => {
      ledger.opened(origin, socket, watch.watch(socket, times));
      callback(null, socket);
    };
    openSocket(origin, ledger.tenantOf(origin)).then(opened, (error: Error) => callback(error, null));
  };
}

/** Loaded here and not with this file: it takes 28 MB and 0.2 s, which a process on Bun has no use for. */
function createAgent(connectionsMax: number, connect: buildConnector.connector): Agent {
  const undici = createRequire(import.meta.url)("undici-npm") as typeof import("undici-npm");
  return new undici.Agent({
    connect,
    connections: connectionsMax,
    pipelining: 1,
    allowH2: false,
    maxRequestsPerClient: REQUESTS_PER_SOCKET_MAX,
    keepAliveTimeout: IDLE_MS_MAX,
    keepAliveMaxTimeout: IDLE_MS_MAX,
    keepAliveTimeoutThreshold: IDLE_MARGIN_MS,
    // What `AnswerHeads` lets through, and trailers.
    maxHeaderSize: 2 * RESPONSE_HEADER_BYTES_MAX,
    // The total deadline of each request covers both.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}
