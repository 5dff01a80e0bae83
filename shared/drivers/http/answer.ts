/** What is kept of a receiver's answer, and the bounds of reading it. The same for every client. */
import { RESPONSE_BYTES_MAX } from "../../domain/attempt.ts";

/** Interim answers (RFC 9110 section 15.2) that one request may get before its final one. */
export const INTERIM_ANSWERS_MAX = 8;
/** Status line and header fields of one answer together. Of a longer head with a 2xx the status counts and no more is read. */
export const RESPONSE_HEADER_BYTES_MAX = 64 * 1024;
/** After the head of its answer a receiver has so long for the body. Then the answer stands, and its body is cut. */
export const RESPONSE_BODY_MS_MAX = 2000;
/** A field that `AnswerHeads` puts into a head that it cut, for `AnswerReader.start`. */
export const HEAD_CUT_FIELD = "posthaste-head-cut";

export interface ReceivedAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly bodyExcerpt: string;
  readonly isBodyCut: boolean;
}

/** Keeps the first `RESPONSE_BYTES_MAX` bytes of a body. */
export class AnswerReader {
  readonly #chunks: Buffer[] = [];
  #bytesLeft = RESPONSE_BYTES_MAX;
  #status = 0;
  #retryAfter: string | null = null;

  /** Has the head of a final answer come? */
  get hasStarted(): boolean {
    return this.#status !== 0;
  }

  start(status: number, retryAfter: string | null): void {
    this.#status = status;
    this.#retryAfter = retryAfter;
  }

  /** False when the chunk did not fit; a body that fits is read to its end, so that its socket is used again. */
  keep(chunk: Buffer): boolean {
    if (this.#bytesLeft > 0) {
      this.#chunks.push(chunk.length <= this.#bytesLeft ? chunk : chunk.subarray(0, this.#bytesLeft));
    }
    this.#bytesLeft -= chunk.length;
    return this.#bytesLeft >= 0;
  }

  answer(isBodyCut: boolean): ReceivedAnswer {
    return { status: this.#status, retryAfter: this.#retryAfter, bodyExcerpt: this.#text(), isBodyCut };
  }

  #text(): string {
    const [first] = this.#chunks;
    if (first === undefined) return "";
    return (this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks)).toString("utf8");
  }
}
