/**
 * Listens and hands every request to a handler: plain sockets and the runtime's own parser. Not Bun's own server:
 * Bun 1.4.5's knows no bound on connections, leaves callers that close their side without an answer, does not answer requests
 * that come one behind the other, and refuses what it cannot parse without a body. Not `node:http`, which takes twice the
 * processor time (docs/adr/0010).
 *
 * Bounds: `connectionsMax` connections (`connections.ts`); those of one connection are in `connection.ts`.
 */
import type { Clock } from "../../../lib/ambient.ts";
import type { InboundRequest } from "../../../ports/inbound-request.ts";
import type { Answer } from "./answer.ts";
import { answerOf, answerText, problemAnswer } from "./answer.ts";
import { Bell } from "./bell.ts";
import { BodyTooLarge } from "./body.ts";
import { bunRuntime, listenOnBun } from "./bun-listener.ts";
import type { CallerListener, CallerSocket, ListenOptions } from "./caller-socket.ts";
import { cannotListen } from "./cannot-listen.ts";
import { CallerConnection } from "./connection.ts";
import { Connections } from "./connections.ts";
import type { Incoming } from "./incoming.ts";
import { NO_ROOM } from "./refusals.ts";
import { requestParsers } from "./request-parser.ts";
import { listenOnStreams } from "./stream-listener.ts";

/** How often connections that are late are looked for, while any is open. */
const LATE_CHECK_MS = 1000;

export interface Listening {
  /** Where it listens, for people and curl: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly port: number;
  /** Connections that are open now. */
  readonly connectionCount: number;
  /**
   * Goes on as before for `noticeMs`, in which a balancer can see that /readyz says 503. Then takes no new connection and
   * lets requests in flight end; closes after another `ms` what has not ended. Resolves with how many connections that were.
   */
  stopWithin(noticeMs: number, ms: number, clock: Pick<Clock, "timer">): Promise<number>;
  /** Closes everything at once. */
  kill(): Promise<void>;
}

export interface ServeOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** What the reader chooses the port by, for the error: `PORT`, `PROCESSOR_PORT` or `--port`. */
  readonly portSetting: string;
  /** The same for the address; `HOST` unless it is given. */
  readonly hostSetting?: string;
  /** With the other children of one `node:cluster`, which listen on the same; among all others the port is ours alone. */
  readonly isShared?: boolean;
  /** Most connections at once, at least 1. */
  readonly connectionsMax: number;
  readonly fetch: (request: InboundRequest) => Response | Promise<Response>;
  readonly clock: Clock;
}

/** Rejects with `CannotListen`; never listens elsewhere than it was told. */
export async function serveHttp(options: ServeOptions): Promise<Listening> {
  const { host } = options;
  const serving = await Serving.open(options);
  const { port } = serving;
  const shown = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${port}`,
    port,
    get connectionCount() {
      return serving.connectionCount;
    },
    async stopWithin(noticeMs, ms, clock) {
      if (noticeMs > 0) await new Promise<void>((resolve) => void clock.timer(noticeMs, resolve));
      await new Promise<void>((resolve) => {
        const cancel = clock.timer(ms, resolve);
        void serving.end().then(resolve).finally(cancel);
      });
      const left = serving.connectionCount;
      await serving.kill();
      return left;
    },
    kill: () => serving.kill(),
  };
}

/** One server and its connections. */
class Serving {
  #listener: CallerListener | null = null;
  readonly #clock: Clock;
  readonly #fetch: ServeOptions["fetch"];
  readonly #openParser = requestParsers();
  readonly #connections: Connections<CallerConnection>;
  /** A connection was closed. */
  readonly #left = new Bell();
  #ended: Promise<void> | null = null;
  #isEnding = false;
  #cancelCheck: (() => void) | null = null;
  #date = { atS: -1, text: "" };

  private constructor({ connectionsMax, fetch, clock }: ServeOptions) {
    this.#clock = clock;
    this.#fetch = fetch;
    this.#connections = new Connections({ max: connectionsMax, close: (connection) => connection.close() });
  }

  static async open(options: ServeOptions): Promise<Serving> {
    const { host, port, isShared = false } = options;
    const serving = new Serving(options);
    const onConnection = (socket: CallerSocket): void => void serving.#serve(socket);
    serving.#listener = await listen({ host, port, isShared, onConnection }).catch((cause: unknown) => {
      throw cannotListen(options, cause);
    });
    return serving;
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  get connectionCount(): number {
    return this.#connections.count;
  }

  /** Resolves when the last request in flight is answered. */
  end(): Promise<void> {
    this.#isEnding = true;
    this.#ended ??= this.#untilEmpty();
    this.#connections.closeWaiting();
    return this.#ended;
  }

  /** The listener may say that it is closed before the last connection says so. */
  async #untilEmpty(): Promise<void> {
    await this.#listener?.close();
    while (this.#connections.count > 0) await this.#left.rung();
  }

  async kill(): Promise<void> {
    const ended = this.end();
    this.#cancelCheck?.();
    this.#connections.closeAll();
    this.#left.ring();
    await ended;
  }

  /** A connection from its first request to its last. */
  async #serve(socket: CallerSocket): Promise<void> {
    const onClose = (): void => {
      this.#connections.closed(connection);
      this.#left.ring();
    };
    const connection = new CallerConnection({ clock: this.#clock, openParser: this.#openParser, socket, onClose });
    if (!this.#connections.open(connection)) return this.#turnAway(socket);
    this.#cancelCheck ??= this.#clock.timer(LATE_CHECK_MS, () => this.#checkLate());
    for (;;) {
      const incoming = await connection.next();
      if (incoming === null) return;
      this.#connections.begin(connection);
      const answer = await this.#answerTo(incoming);
      await connection.answer(incoming, answer, { isLast: this.#isEnding, date: this.#now() });
      // The stop may have begun while the caller read.
      if (this.#isEnding) connection.endWhenIdle();
      this.#connections.end(connection);
    }
  }

  async #answerTo(incoming: Incoming): Promise<Answer> {
    if (incoming.refusal === null) {
      const answer = await this.#handle(incoming);
      // It may have been cut while it was handled.
      if (incoming.refusal === null) return answer;
    }
    return problemAnswer(incoming.refusal);
  }

  async #handle(incoming: Incoming): Promise<Answer> {
    try {
      return await answerOf(await this.#fetch(incoming));
    } catch (error) {
      // Handlers answer every error themselves; this speaks only if that fails, and says nothing of the inside.
      const status = error instanceof BodyTooLarge ? 413 : 500;
      return { status, fields: { connection: "close" }, text: "" };
    }
  }

  #turnAway(socket: CallerSocket): void {
    const frame = { isHead: false, isLast: true, date: this.#now() };
    socket.turnAway(answerText(problemAnswer(NO_ROOM), frame));
  }

  #checkLate(): void {
    for (const connection of this.#connections.all()) connection.checkLate();
    const isIdle = this.#connections.count === 0;
    this.#cancelCheck = isIdle ? null : this.#clock.timer(LATE_CHECK_MS, () => this.#checkLate());
  }

  /** The time as HTTP writes it, made once a second. */
  #now(): string {
    const ms = this.#clock.now();
    const atS = Math.floor(ms / 1000);
    if (atS !== this.#date.atS) this.#date = { atS, text: new Date(ms).toUTCString() };
    return this.#date.text;
  }
}

/** Children of one cluster share a socket that only `node:net` hands out. */
async function listen(options: ListenOptions): Promise<CallerListener> {
  const bun = options.isShared ? null : bunRuntime();
  return bun === null ? await listenOnStreams(options) : listenOnBun(bun, options);
}
