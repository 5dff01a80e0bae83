/**
 * One connection of a caller. Requests are taken from it one at a time, in the order of coming, also when several came
 * before the first was answered (RFC 9112 section 9.3.2). What cannot be read is a request as well, with its refusal, and the last.
 *
 * Bounds: a head `HEAD_MS_MAX`, a whole request `REQUEST_MS_MAX`, a caller that does not read its answer `UNREAD_MS_MAX`, a
 * connection without a request `IDLE_MS_MAX`, one that we have ended `LINGER_MS_MAX`; `body.ts` bounds the bytes.
 */
import type { PosthasteError } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { Answer } from "./answer.ts";
import { answerPieces, CONTINUE } from "./answer.ts";
import { Bell } from "./bell.ts";
import { PASSED_BYTES_MAX } from "./body.ts";
import type { CallerSocket } from "./caller-socket.ts";
import { IDLE_MS_MAX, LINGER_MS_MAX, REQUEST_MS_MAX, UNREAD_MS_MAX, WAITING_MAX } from "./connection-bounds.ts";
import { Incoming, unreadable } from "./incoming.ts";
import { HEAD_MS_MAX, LATE, refusalOfParser } from "./refusals.ts";
import type { RequestEvents, RequestHead, RequestParser } from "./request-parser.ts";
import { StreamedAnswer } from "./streamed-answer.ts";

export interface ConnectionDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly openParser: (events: RequestEvents) => RequestParser;
  readonly socket: CallerSocket;
  readonly onClose: () => void;
}

export class CallerConnection {
  readonly #clock: ConnectionDeps["clock"];
  readonly #socket: CallerSocket;
  readonly #onClose: () => void;
  readonly #parser: RequestParser;
  /** Requests whose head has come, none of them answered. */
  readonly #waiting: Incoming[] = [];
  /** The request that bytes belong to now. */
  #arriving: Incoming | null = null;
  /** Of the request that is being answered. */
  #current: Incoming | null = null;
  #headSinceMs: number | null = null;
  /** For its caller, since then (steady ms). Null while a request is handled: that has bounds of its own. */
  #wait: { readonly sinceMs: number; readonly msMax: number } | null;
  /** Nothing that comes is a request any more. */
  #isReadOver = false;
  /** Our last answer is written. */
  #isEnded = false;
  /** The answer that is being streamed; it ends when its caller closes its side. */
  #streamed: StreamedAnswer | null = null;
  #lingeredBytes = 0;
  #isClosed = false;
  readonly #bell = new Bell();

  constructor({ clock, openParser, socket, onClose }: ConnectionDeps) {
    this.#clock = clock;
    this.#socket = socket;
    this.#onClose = onClose;
    this.#wait = { sinceMs: clock.monotonic(), msMax: IDLE_MS_MAX };
    this.#parser = openParser({
      onBegin: () => void (this.#headSinceMs = clock.monotonic()),
      onHead: (head) => this.#headCame(head),
      onBody: (bytes) => this.#bodyCame(bytes),
      onEnd: () => this.#requestEnded(),
    });
    socket.listen({
      onData: (bytes) => this.#dataCame(bytes),
      onEnd: () => this.#callerEnded(),
      onDrain: () => this.#bell.ring(),
      onClose: () => this.#closed(),
    });
  }

  /** The next request to be answered; null when there will be none. */
  async next(): Promise<Incoming | null> {
    while (this.#waiting.length === 0) {
      if (this.#isReadOver && !this.#isClosed && !this.#isEnded) this.#endSocket();
      if (this.#isClosed || this.#isEnded) return null;
      await this.#bell.rung();
    }
    const incoming = this.#waiting.shift() ?? null;
    this.#current = incoming;
    this.#wait = null;
    if (this.#waiting.length === 0) this.#socket.resume();
    return incoming;
  }

  /** Writes the answer to the request that `next` gave last, and resolves once the next one may be taken. */
  async answer(
    incoming: Incoming,
    answer: Answer,
    frame: { readonly isLast: boolean; readonly date: string },
  ): Promise<void> {
    incoming.isAnswered = true;
    this.#current = null;
    if (answer.stream !== undefined) return this.#stream(incoming, answer, answer.stream, frame.date);
    if (this.#isClosed) return;
    const isLast = frame.isLast || incoming.endsConnection || answer.fields["connection"] === "close";
    if (isLast) this.#readNoMore();
    const pieces = answerPieces(answer, { isHead: incoming.method === "HEAD", isLast, date: frame.date });
    for (const piece of pieces) this.#socket.write(piece);
    incoming.content.pass();
    await this.#drained();
    return isLast ? this.#endSocket() : this.#waitsFor(IDLE_MS_MAX);
  }

  /** No further request is taken; those that came are answered. */
  endWhenIdle(): void {
    if (this.#waiting.length === 0 && !this.#isEnded) this.#endSocket();
  }

  /** The last answer of the connection: what comes behind it is no request. */
  async #stream(incoming: Incoming, answer: Answer, stream: ReadableStream<Uint8Array>, date: string): Promise<void> {
    const streamed = new StreamedAnswer(this.#socket, stream, { isChunked: incoming.head.version === "1.1" });
    if (this.#isClosed) return streamed.giveUp();
    this.#streamed = streamed;
    this.#readNoMore();
    const last = await streamed.write(answer, date, () => this.#drained());
    this.#streamed = null;
    return last === null ? this.close() : this.#endSocket(last);
  }

  /** Closes at once. */
  close(): void {
    this.#socket.destroy();
  }

  /** Ends what has taken longer than it may. */
  checkLate(): void {
    const nowMs = this.#clock.monotonic();
    const isHeadLate = this.#headSinceMs !== null && nowMs - this.#headSinceMs > HEAD_MS_MAX;
    const isRequestLate = this.#arriving !== null && nowMs - this.#arriving.begunAtMs > REQUEST_MS_MAX;
    if (isHeadLate || isRequestLate) return this.#refuse(LATE);
    if (this.#headSinceMs !== null || this.#wait === null) return;
    if (nowMs - this.#wait.sinceMs > this.#wait.msMax) this.close();
  }

  #dataCame(bytes: Buffer): void {
    if (this.#isReadOver) return this.#passBy(bytes);
    const error = this.#parser.read(bytes);
    if (error === null) this.#holdBack();
    else this.#refuse(refusalOfParser(error));
  }

  /** What comes behind the last request is read past for a while: closing now could take the answer from the caller. */
  #passBy(bytes: Buffer): void {
    this.#lingeredBytes += bytes.length;
    if (this.#lingeredBytes > PASSED_BYTES_MAX) this.close();
  }

  #headCame(head: RequestHead): void {
    const begunAtMs = this.#headSinceMs ?? this.#clock.monotonic();
    this.#headSinceMs = null;
    // Those that wait are answered, and the last of them ends the connection.
    if (this.#waiting.length >= WAITING_MAX) this.#isReadOver = true;
    if (this.#isReadOver) return;
    const incoming: Incoming = new Incoming(head, begunAtMs, () => this.#bodyAsked(incoming));
    this.#arriving = incoming;
    this.#waiting.push(incoming);
    // Behind a head that is refused nobody knows what comes.
    if (incoming.refusal !== null) this.#isReadOver = true;
    this.#bell.ring();
  }

  #bodyAsked(incoming: Incoming): void {
    if (incoming.awaitsContinue && !incoming.isAnswered) {
      incoming.awaitsContinue = false;
      this.#socket.write(CONTINUE);
    }
    if (!incoming.content.isFull) this.#socket.resume();
  }

  #bodyCame(bytes: Buffer): void {
    const incoming = this.#arriving;
    if (incoming === null) return;
    incoming.awaitsContinue = false;
    if (!incoming.content.push(bytes)) this.close();
  }

  #requestEnded(): void {
    const incoming = this.#arriving;
    this.#arriving = null;
    if (incoming === null) return;
    incoming.awaitsContinue = false;
    incoming.content.end();
  }

  /** No more is taken from the connection while much waits. */
  #holdBack(): void {
    const isBehind = this.#waiting.length > (this.#current === null ? 1 : 0);
    if (isBehind || this.#arriving?.content.isFull === true) this.#socket.pause();
  }

  #callerEnded(): void {
    if (this.#streamed !== null) return this.close();
    if (this.#isReadOver) return this.#bell.ring();
    const error = this.#parser.end();
    if (error !== null) this.#refuse(refusalOfParser(error));
    this.#isReadOver = true;
    this.#bell.ring();
  }

  /** Nothing further can be read. The refusal is the answer to the request that is cut, else to one of its own. */
  #refuse(refusal: PosthasteError): void {
    if (this.#isReadOver) return;
    this.#isReadOver = true;
    this.#headSinceMs = null;
    const arriving = this.#arriving;
    this.#arriving = null;
    if (arriving?.isAnswered === true) return this.close();
    if (arriving === null) this.#waiting.push(unreadable(refusal, this.#clock.monotonic()));
    else arriving.breakOff(refusal);
    this.#socket.resume();
    this.#bell.ring();
  }

  async #drained(): Promise<void> {
    this.#waitsFor(UNREAD_MS_MAX);
    while (this.#socket.needsDrain && !this.#isClosed) await this.#bell.rung();
    this.#wait = null;
  }

  #endSocket(text = ""): void {
    this.#isEnded = true;
    this.#waitsFor(LINGER_MS_MAX);
    this.#socket.end(text);
    this.#readNoMore();
    this.#bell.ring();
  }

  /** What comes from here on is passed by. */
  #readNoMore(): void {
    this.#isReadOver = true;
    this.#headSinceMs = null;
    this.#arriving = null;
    this.#waiting.length = 0;
    this.#socket.resume();
  }

  #closed(): void {
    this.#isClosed = true;
    this.#isReadOver = true;
    for (const incoming of [this.#arriving, this.#current, ...this.#waiting]) incoming?.callerGone();
    this.#waiting.length = 0;
    this.#streamed?.giveUp();
    this.#bell.ring();
    this.#onClose();
  }

  #waitsFor(msMax: number): void {
    this.#wait = { sinceMs: this.#clock.monotonic(), msMax };
  }
}
