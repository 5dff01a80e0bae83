/**
 * Listens and hands every request to a handler, over node:http on Bun and Node alike. Not Bun's own server, though it costs
 * less: Bun 1.4.5's knows no bound on connections, leaves callers that close their side without an answer, does not answer
 * requests that come one behind the other, and refuses what it cannot parse without a body (docs/adr/0010).
 *
 * Bounds: `connectionsMax` connections (`connections.ts`); a head `HEAD_MS_MAX` and `HEAD_BYTES_MAX`; a whole request
 * `REQUEST_MS_MAX`; a connection without a request `IDLE_MS_MAX`.
 */
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { PosthasteError } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { InboundRequest } from "../../../ports/inbound-request.ts";
import type { Exchange } from "./answer.ts";
import { writeProblem, writeResponse } from "./answer.ts";
import { cannotListen } from "./cannot-listen.ts";
import { Connections } from "./connections.ts";
import { BodyTooLarge, inboundRequest } from "./incoming.ts";
import {
  AHEAD_CUT,
  AHEAD_MAX,
  answerText,
  checkHead,
  HEAD_BYTES_MAX,
  HEAD_MS_MAX,
  NO_RESOURCE,
  NO_ROOM,
  NO_TUNNEL,
  refusalOfParser,
  TOO_FAR_AHEAD,
  UNKNOWN_EXPECTATION,
  urlOf,
} from "./refusals.ts";

/** From a request's first byte to its last; longer than any handler of ours waits for a body. */
export const REQUEST_MS_MAX = 30_000;
export const IDLE_MS_MAX = 30_000;
/** Without a byte either way: a caller that does not read its answer, or whose machine is gone. */
const STALL_MS_MAX = 30_000;
/** How often heads and requests that are late are looked for. */
const LATE_CHECK_MS = 1000;

export interface Listening {
  /** Where it listens, for people and curl: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly port: number;
  /** Connections that are open now. */
  readonly connectionCount: number;
  /**
   * Goes on as before for `noticeMs`, in which a balancer can see that /readyz says 503. Then takes no new connection and
   * lets requests in flight end; closes after another `ms` what has not ended.
   */
  stopWithin(noticeMs: number, ms: number, clock: Pick<Clock, "timer">): Promise<void>;
  /** Closes everything at once. */
  kill(): Promise<void>;
}

export interface ServeOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** What the reader chooses the port by, for the error: `PORT`, `PROCESSOR_PORT` or `--port`. */
  readonly portSetting: string;
  /** Most connections at once, at least 1. */
  readonly connectionsMax: number;
  readonly fetch: (request: InboundRequest) => Response | Promise<Response>;
}

/** Rejects with `CannotListen`; never listens elsewhere than it was told. */
export async function serveHttp(options: ServeOptions): Promise<Listening> {
  const { host } = options;
  const server = createServer({
    joinDuplicateHeaders: true,
    requireHostHeader: false,
    maxHeaderSize: HEAD_BYTES_MAX,
    headersTimeout: HEAD_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: IDLE_MS_MAX,
    connectionsCheckingInterval: LATE_CHECK_MS,
  });
  server.timeout = STALL_MS_MAX;
  const serving = new Serving(server, options);
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const shown = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${port}`,
    port,
    get connectionCount() {
      return serving.connections.count;
    },
    async stopWithin(noticeMs, ms, clock) {
      if (noticeMs > 0) await new Promise<void>((resolve) => void clock.timer(noticeMs, resolve));
      await new Promise<void>((resolve) => {
        const cancel = clock.timer(ms, resolve);
        void serving.end().then(resolve).finally(cancel);
      });
      await serving.kill();
    },
    kill: () => serving.kill(),
  };
}

/** One server and its connections. */
class Serving {
  readonly connections: Connections<Socket>;
  readonly #server: Server;
  readonly #fetch: ServeOptions["fetch"];
  /** The latest request of a connection, with its answer. */
  readonly #latest = new WeakMap<Socket, Exchange>();
  readonly #closed: Promise<void>;
  #isEnding = false;

  constructor(server: Server, { connectionsMax, fetch }: ServeOptions) {
    this.connections = new Connections({ max: connectionsMax, close: (socket) => socket.destroy() });
    this.#server = server;
    this.#fetch = fetch;
    this.#closed = new Promise((resolve) => {
      server.once("close", resolve);
    });
    // A caller that has closed its side still reads (RFC 9112 section 9.6). The types of node:http do not know it.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on("connection", (socket) => this.#take(socket));
    server.on("request", (incoming, outgoing) => void this.#answer({ incoming, outgoing }, false));
    server.on("checkContinue", (incoming, outgoing) => void this.#answer({ incoming, outgoing }, true));
    server.on("checkExpectation", (incoming, outgoing) => writeProblem({ incoming, outgoing }, UNKNOWN_EXPECTATION));
    server.on("connect", (_incoming, socket) => socket.end(answerText(NO_TUNNEL)));
    server.on("clientError", (error, socket) => this.#refuse(error, socket as Socket));
  }

  /** Resolves when the last request in flight is answered. */
  end(): Promise<void> {
    this.#isEnding = true;
    this.#server.close();
    this.connections.closeWaiting();
    return this.#closed;
  }

  async kill(): Promise<void> {
    const ended = this.end();
    this.#server.closeAllConnections();
    await ended;
  }

  #take(socket: Socket): void {
    if (this.connections.open(socket)) socket.once("close", () => this.connections.closed(socket));
    else this.#say(socket, NO_ROOM);
  }

  async #answer(exchange: Exchange, awaitsContinue: boolean): Promise<void> {
    const { incoming, outgoing } = exchange;
    const { socket } = incoming;
    this.#latest.set(socket, exchange);
    this.connections.begin(socket);
    const ahead = this.connections.underWay(socket);
    if (ahead > AHEAD_MAX) return this.#refuseAhead(exchange, ahead);
    let isAwaited = awaitsContinue;
    const url = urlOf(incoming.url ?? "");
    const refusal = url === null ? NO_RESOURCE : checkHead(incoming);
    if (url === null || refusal !== null) {
      writeProblem(exchange, refusal ?? NO_RESOURCE);
    } else {
      const request = inboundRequest(incoming, url, () => {
        if (isAwaited) outgoing.writeContinue();
        isAwaited = false;
      });
      const { response, text } = await this.#respond(request);
      // Who was not told to go on may send the body or not: nobody knows where the next request would begin.
      writeResponse(exchange, response, text, this.#isEnding || isAwaited);
    }
    // An answer that its caller does not read is under way, too.
    if (outgoing.writableFinished) this.connections.end(socket);
    else outgoing.once("close", () => this.connections.end(socket));
  }

  /** The answer to the first that is too many ends the connection, and with it those behind. */
  #refuseAhead(exchange: Exchange, ahead: number): void {
    if (ahead === AHEAD_MAX + 1) writeProblem(exchange, TOO_FAR_AHEAD);
    else if (ahead > AHEAD_CUT) exchange.incoming.socket.destroy();
  }

  async #respond(request: InboundRequest): Promise<{ response: Response; text: string }> {
    try {
      const response = await this.#fetch(request);
      return { response, text: response.body === null ? "" : await response.text() };
    } catch (error) {
      // Handlers answer every error themselves; this speaks only if that fails, and says nothing of the inside.
      const status = error instanceof BodyTooLarge ? 413 : 500;
      return { response: new Response(null, { status, headers: { connection: "close" } }), text: "" };
    }
  }

  /** What the parser cannot take. It is answered in its turn, or not at all: a caller counts the answers. */
  #refuse(error: Error, socket: Socket): void {
    const refusal = refusalOfParser(error);
    if (refusal === null || !socket.writable) return void socket.destroy();
    const latest = this.#latest.get(socket);
    switch (placeOf(latest, this.connections.underWay(socket))) {
      case "next":
        return this.#say(socket, refusal);
      case "after-latest":
        return void latest?.outgoing.once("close", () => this.#say(socket, refusal));
      case "none":
        return void socket.destroy();
    }
  }

  #say(socket: Socket, refusal: PosthasteError): void {
    socket.on("error", () => undefined);
    socket.end(answerText(refusal), () => socket.destroy());
  }
}

/**
 * Where the answer to something unreadable belongs. Behind a whole request it is a request of its own; within one it is
 * that one's answer, unless that was given already.
 */
function placeOf(latest: Exchange | undefined, underWay: number): "next" | "after-latest" | "none" {
  if (latest === undefined) return "next";
  const { incoming, outgoing } = latest;
  if (incoming.complete) return outgoing.writableFinished ? "next" : "after-latest";
  return outgoing.headersSent || underWay > 1 ? "none" : "next";
}

function listen(server: Server, options: ServeOptions): Promise<void> {
  const { host, port } = options;
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(cannotListen(options, cause)));
    server.listen({ host, port, exclusive: true }, resolve);
  });
}
