/**
 * Makes one clean head of what a receiver sends before the body of its answer, so that a strict parser (llhttp) can read
 * on. Interim answers are passed over, asked for or not (RFC 9110 section 15.2). What a recipient may repair is
 * repaired: folded header lines (RFC 9112 section 5.2), a bare LF as the end of a line (section 2.2), one length given
 * twice (RFC 9110 section 8.6), blanks around a value (section 5.5), a length beside chunks (RFC 9112 section 6.3). What cannot be an answer is `BadAnswer`.
 */
import { isSuccess } from "../../domain/outcome.ts";
import { HEAD_CUT_FIELD, INTERIM_ANSWERS_MAX, RESPONSE_HEADER_BYTES_MAX } from "./answer.ts";
import { BadAnswer, NOT_HTTP } from "./network-fault.ts";

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?=[ \r\n]|$)/;
/** Folded, ended by a bare LF, with blanks where a parser takes them for a part of the framing, or framed more than once. */
const ODD =
  /\n[ \t]|[^\r]\n|\n(?:content-length|transfer-encoding):(?:\t|[^\n]*[ \t]\r)|\ncontent-length:[^\n]*,|\n(?:content-length|transfer-encoding):[^]*\n(?:content-length|transfer-encoding):/i;

const HELD_BYTES_AT_FIRST = 4096;

/** One for each connection. */
export class AnswerHeads {
  #isAwaited = false;
  #interimCount = 0;
  /** The part of a head that came so far; its first `#length` bytes count. */
  #held: Buffer | null = null;
  #length = 0;

  /** A request is being sent: what comes next is the head of its answer. */
  begin(): void {
    this.#isAwaited = true;
    this.#interimCount = 0;
    this.#held = null;
    this.#length = 0;
  }

  /** Takes what came, and gives what the parser is to see; null while a head is not complete. Throws `BadAnswer`. */
  push(chunk: Buffer): Buffer | null {
    if (!this.#isAwaited) return chunk;
    let bytes = this.#held === null ? chunk : this.#join(this.#held, chunk);
    let from = this.#held === null ? 0 : Math.max(0, this.#length - chunk.length - 3);
    for (;;) {
      const start = bytes[0] === 13 || bytes[0] === 10 ? lengthOfBlankLines(bytes) : 0;
      const end = endOfHead(bytes, Math.max(from, start));
      if (end === -1) return this.#hold(bytes);
      if (end > RESPONSE_HEADER_BYTES_MAX) return this.#cut(bytes);
      const head = bytes.toString("latin1", start, end);
      if (!this.#isInterim(statusOf(head))) {
        this.#isAwaited = false;
        this.#held = null;
        return ODD.test(head) ? Buffer.concat([Buffer.from(repaired(head), "latin1"), bytes.subarray(end)]) : bytes;
      }
      bytes = bytes.subarray(end);
      from = 0;
      this.#held = null;
    }
  }

  #isInterim(status: number): boolean {
    if (status === 101)
      throw new BadAnswer("the receiver answered 101: it switched protocols, which was not asked for");
    if (status < 100 || status > 599) {
      const text = String(status).padStart(3, "0");
      throw new BadAnswer(`the receiver answered with the status ${text}, which HTTP does not have`);
    }
    if (status >= 200) return false;
    this.#interimCount += 1;
    if (this.#interimCount <= INTERIM_ANSWERS_MAX) return true;
    throw new BadAnswer("the receiver sent interim answers without end");
  }

  /** Keeps an incomplete head; null. */
  #hold(bytes: Buffer): Buffer | null {
    const opening = bytes.toString("latin1", 0, 64).trimStart();
    if (!"HTTP/1.".startsWith(opening.slice(0, 7))) throw new BadAnswer(NOT_HTTP);
    if (bytes.length > RESPONSE_HEADER_BYTES_MAX) return this.#cut(bytes);
    if (this.#held === null) {
      this.#length = 0;
      this.#join(Buffer.allocUnsafe(HELD_BYTES_AT_FIRST), bytes);
    }
    return null;
  }

  /** Adds to what is held, in room that doubles. */
  #join(held: Buffer, chunk: Buffer): Buffer {
    const length = this.#length + chunk.length;
    let room = held;
    if (length > room.length) {
      room = Buffer.allocUnsafe(Math.max(length, 2 * room.length));
      held.copy(room, 0, 0, this.#length);
    }
    chunk.copy(room, this.#length);
    this.#held = room;
    this.#length = length;
    return room.subarray(0, length);
  }

  /** The head is too long: a 2xx is one all the same, and its body ends here. */
  #cut(bytes: Buffer): Buffer {
    const status = statusOf(bytes.toString("latin1", 0, 64).trimStart());
    if (!isSuccess(status)) throw new BadAnswer("the header fields of the answer are larger than 64 KiB");
    this.#isAwaited = false;
    this.#held = null;
    return Buffer.from(`HTTP/1.1 ${status} OK\r\n${HEAD_CUT_FIELD}: 1\r\nconnection: close\r\n\r\n`, "latin1");
  }
}

/** RFC 9112 section 2.2: a line or more of nothing may come before. */
function lengthOfBlankLines(bytes: Buffer): number {
  let length = 0;
  while (bytes[length] === 13 || bytes[length] === 10) length += 1;
  return length;
}

/** Behind the empty line, or -1. */
function endOfHead(bytes: Buffer, from: number): number {
  const ordinary = bytes.indexOf("\n\r\n", from, "latin1");
  const until = ordinary === -1 ? bytes : bytes.subarray(0, ordinary + 1);
  const bare = until.indexOf("\n\n", from, "latin1");
  if (bare !== -1) return bare + 2;
  return ordinary === -1 ? -1 : ordinary + 3;
}

function statusOf(head: string): number {
  const digits = STATUS_LINE.exec(head)?.[1];
  if (digits === undefined) throw new BadAnswer(NOT_HTTP);
  return Number(digits);
}

/** The same head in the form that it should have had. It is the last on its connection. */
function repaired(head: string): string {
  const lines = head
    .trimEnd()
    .replace(/\r?\n[ \t]+/g, " ")
    .split(/\r?\n/)
    .map((line) => line.trimEnd().replace(/:[ \t]+/, ": "));
  const isChunked = lines.some((line) => /^transfer-encoding:/i.test(line));
  const lengths = lines.filter((line) => /^content-length:/i.test(line)).flatMap(lengthsIn);
  if (new Set(lengths).size > 1 && !isChunked) throw new BadAnswer("the answer declares two different lengths");
  const others = lines.filter((line) => !/^content-length:/i.test(line));
  const [length] = lengths;
  if (length !== undefined && !isChunked) others.push(`content-length: ${length}`);
  return `${others.join("\r\n")}\r\nconnection: close\r\n\r\n`;
}

function lengthsIn(line: string): readonly string[] {
  return line
    .slice(line.indexOf(":") + 1)
    .split(",")
    .map((length) => length.trim());
}
