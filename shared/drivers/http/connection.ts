/**
 * One socket to a receiver, and one request at a time on it. What a receiver sends unasked, or beyond its answer, ends
 * the connection and never counts as the answer to another request.
 */
import type { Socket } from "node:net";
import type { Clock } from "../../lib/ambient.ts";
import type { ReceivedAnswer } from "./answer.ts";
import { AnswerReader, HEAD_CUT_FIELD, RESPONSE_BODY_MS_MAX, RESPONSE_HEADER_BYTES_MAX } from "./answer.ts";
import { AnswerHeads } from "./answer-heads.ts";
import type { ByteSocket } from "./byte-socket.ts";
import { takeOver } from "./byte-socket.ts";
import { IDLE_MS_MAX, REQUESTS_PER_SOCKET_MAX, StaleConnection, idleMsOf } from "./http-client.ts";
import type { Limit } from "./limit.ts";
import type { ConnectionTimes } from "./milestones.ts";
import { BadAnswer, CLOSED_EARLY, ConnectFault, NOT_HTTP } from "./network-fault.ts";
import type { Outbox, Unwritten } from "./outbox.ts";
import { writeRequest } from "./request-bytes.ts";
import type { AnswerParser, RawFields, runtimeParser } from "./runtime-parser.ts";
import { createAnswerParser } from "./runtime-parser.ts";

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly parser: NonNullable<ReturnType<typeof runtimeParser>>;
  readonly socket: Socket;
  readonly times: ConnectionTimes;
  readonly outbox: Outbox;
  /** Told after each request that another one may follow. */
  readonly onIdle: (connection: Connection) => void;
  /** Told once, when it may carry no more requests. */
  readonly onClosed: (connection: Connection) => void;
}

/** The request under way. */
interface Exchange {
  readonly head: string;
  readonly body: Uint8Array;
  readonly reader: AnswerReader;
  readonly limit: Limit;
  readonly resolve: (answer: ReceivedAnswer) => void;
  readonly reject: (error: unknown) => void;
  isWritten: boolean;
  /** A byte came. */
  isAnswered: boolean;
  isComplete: boolean;
  cancelBodyTimer: (() => void) | null;
}

export class Connection implements Unwritten {
  readonly openedAtMs: number;
  /** When an idle one is to be closed; ms of `Clock.monotonic`. */
  idleUntilMs: number;
  requestCount = 0;
  readonly #deps: ConnectionDeps;
  readonly #socket: ByteSocket;
  readonly #heads = new AnswerHeads();
  readonly #parser: AnswerParser;
  #exchange: Exchange | null = null;
  #idleMs = IDLE_MS_MAX;
  /** May another request follow the one under way? */
  #isKept = true;
  #isClosed = false;
  #retryAfter: string | null = null;
  #isHeadCut = false;

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
    this.openedAtMs = deps.clock.monotonic();
    this.idleUntilMs = this.openedAtMs + IDLE_MS_MAX;
    this.#parser = createAnswerParser(deps.parser, 2 * RESPONSE_HEADER_BYTES_MAX, {
      onBegin: () => this.#began(),
      onFields: (fields) => this.#readFields(fields),
      onHead: (status, fields, isKeptAlive) => this.#headCame(status, fields, isKeptAlive),
      onBody: (bytes) => this.#bodyCame(bytes),
      onEnd: () => this.#ended(),
    });
    this.#socket = takeOver(deps.socket, {
      onData: (chunk) => this.#dataCame(chunk),
      onEnd: () => this.#peerEnded(null),
      onClose: (error) => this.#peerEnded(error),
    });
  }

  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Writes the request, its first at once and others at the end of the turn, reads the answer and ends the limit. Rejects as `HttpClient.post` says; the connection is closed then. */
  send(head: string, body: Uint8Array, limit: Limit): Promise<ReceivedAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        limit[Symbol.dispose]();
        return reject(this.#closedBefore());
      }
      this.#exchange = { head, body, reader: new AnswerReader(), limit, resolve, reject, ...UNWRITTEN };
      this.requestCount += 1;
      if (this.requestCount === 1) limit.milestones?.opened(this.#deps.times);
      this.#retryAfter = null;
      this.#isHeadCut = false;
      this.#heads.begin();
      limit.onEnd((reason) => this.#giveUp(reason));
      if (this.#exchange === null) return;
      // Asked a moment ago whether it still may begin.
      if (this.requestCount === 1) this.writeOut();
      else this.#deps.outbox.add(this);
    });
  }

  /** Without one it was given up in the same turn: the connection is closed then, and has no other. */
  writeOut(): void {
    const exchange = this.#exchange;
    if (exchange === null || exchange.isWritten) return;
    exchange.isWritten = true;
    try {
      writeRequest(this.#socket, exchange.head, exchange.body);
    } catch (error) {
      this.#broke(error);
    }
  }

  /** Ends the request under way, if there is one. */
  close(reason: unknown): void {
    if (this.#exchange !== null) return this.#fail(reason);
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#deps.onClosed(this);
  }

  #dataCame(chunk: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === null) return this.close(null);
    // No answer to what is only about to be written.
    if (!exchange.isWritten) return this.#broke(null);
    const isFirst = !exchange.isAnswered;
    exchange.isAnswered = true;
    try {
      const bytes = this.#heads.push(chunk);
      if (isFirst) exchange.limit.milestones?.reached("first-byte");
      if (bytes === null) return;
      const error = this.#parser.read(bytes);
      // It may have been settled within: cut, or given up.
      if (this.#exchange !== exchange) return;
      if (exchange.isComplete) return this.#succeed(false, error === null);
      if (error !== null) throw new BadAnswer(NOT_HTTP);
      if (exchange.reader.hasStarted) this.#waitForBody(exchange);
    } catch (error) {
      // No answer to this request, but what was left over of the one before.
      if (isFirst && error instanceof BadAnswer && error.message === NOT_HTTP) exchange.isAnswered = false;
      this.#broke(error);
    }
  }

  #began(): void {
    // A second message: more came than was asked for.
    if (this.#exchange?.isComplete === true) this.#isKept = false;
  }

  #readFields(fields: RawFields): void {
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const name = fields[index] ?? "";
      const value = fields[index + 1] ?? "";
      if (name.length === 11 && this.#retryAfter === null && name.toLowerCase() === "retry-after") {
        this.#retryAfter = value;
      } else if (name.length === 10 && name.toLowerCase() === "keep-alive") {
        this.#idleMs = idleMsOf(value);
      } else if (name === HEAD_CUT_FIELD) {
        this.#isHeadCut = true;
      }
    }
  }

  #headCame(status: number, fields: RawFields | undefined, isKeptAlive: boolean): void {
    const exchange = this.#exchange;
    if (exchange === null || exchange.isComplete) return;
    if (fields !== undefined) this.#readFields(fields);
    this.#isKept = isKeptAlive;
    exchange.reader.start(status, this.#retryAfter);
    if (this.#isHeadCut) this.#succeed(true, false);
  }

  #bodyCame(bytes: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === null || exchange.isComplete) return;
    if (!exchange.reader.keep(bytes)) this.#succeed(true, false);
  }

  #ended(): void {
    if (this.#exchange !== null) this.#exchange.isComplete = true;
  }

  /** The body did not come with the head: the status stands, and the wait for the rest has a bound of its own. */
  #waitForBody(exchange: Exchange): void {
    exchange.cancelBodyTimer ??= this.#deps.clock.timer(RESPONSE_BODY_MS_MAX, () => this.#succeed(true, false));
  }

  /** An end that was to tell the end of the body does so, however it came. */
  #peerEnded(error: Error | null): void {
    const exchange = this.#exchange;
    if (exchange === null) return this.close(null);
    this.#parser.end();
    return exchange.isComplete ? this.#succeed(error !== null, false) : this.#broke(error ?? ENDED_EARLY());
  }

  #broke(error: unknown): void {
    const exchange = this.#exchange;
    if (exchange === null) return this.close(null);
    const isStale = !exchange.isAnswered && this.requestCount > 1;
    this.#fail(isStale ? new StaleConnection("the kept connection had ended", { cause: error }) : error);
  }

  #closedBefore(): Error {
    return this.requestCount > 0 ? new StaleConnection("the kept connection had ended") : ENDED_EARLY();
  }

  #giveUp(reason: unknown): void {
    if (this.#exchange?.reader.hasStarted === true) this.#succeed(true, false);
    else this.#fail(reason);
  }

  #succeed(isBodyCut: boolean, isKept: boolean): void {
    const exchange = this.#take();
    if (exchange === null) return;
    if (isKept && this.#isKept && this.requestCount < REQUESTS_PER_SOCKET_MAX) {
      this.idleUntilMs = this.#deps.clock.monotonic() + this.#idleMs;
      this.#deps.onIdle(this);
    } else {
      this.close(null);
    }
    exchange.resolve(exchange.reader.answer(isBodyCut));
  }

  #fail(reason: unknown): void {
    const exchange = this.#take();
    if (exchange === null) return;
    this.close(reason);
    exchange.reject(reason);
  }

  #take(): Exchange | null {
    const exchange = this.#exchange;
    if (exchange === null) return null;
    this.#exchange = null;
    exchange.cancelBodyTimer?.();
    exchange.limit[Symbol.dispose]();
    return exchange;
  }
}

const ENDED_EARLY = (): ConnectFault => new ConnectFault("reset", CLOSED_EARLY);
const UNWRITTEN = { isWritten: false, isAnswered: false, isComplete: false, cancelBodyTimer: null };
