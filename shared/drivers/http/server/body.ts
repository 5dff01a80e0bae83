/**
 * The body of a request as it comes in. Pieces wait here until they are asked for; past `UNREAD_BYTES_MAX` no more are
 * taken from the connection. It is read once, whole or piece by piece.
 */
import type { InboundPiece, InboundReader } from "../../../ports/inbound-request.ts";

/** Above every body our own code accepts, so that what is too large is refused by that code, which knows the bound. */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes that nobody has asked for before the connection is read on. */
export const UNREAD_BYTES_MAX = 64 * 1024;
/** Bytes of a body that nobody wants which are read past, so that the connection can be used again. */
export const PASSED_BYTES_MAX = 1024 * 1024;

/** A body past `BODY_BYTES_MAX`; nothing that reads whole bodies gets as far. */
export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

export class Body {
  readonly #onRead: () => void;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #isWhole = false;
  #isRead = false;
  #isPassed = false;
  #passedBytes = 0;
  #fault: Error | null = null;
  /** Whoever waits for more. */
  #wake: (() => void) | null = null;
  #wantsAll = false;

  /** `onRead` is called when the body is asked for, and when there is room for more of it. */
  constructor(onRead: () => void) {
    this.#onRead = onRead;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Is enough here that the connection should wait? */
  get isFull(): boolean {
    return !this.#wantsAll && this.#bytes > UNREAD_BYTES_MAX;
  }

  /** False once more has come than is read past. */
  push(piece: Uint8Array): boolean {
    if (this.#isPassed) {
      this.#passedBytes += piece.length;
      return this.#passedBytes <= PASSED_BYTES_MAX;
    }
    this.#bytes += piece.length;
    this.#pieces.push(piece);
    if (this.#bytes > BODY_BYTES_MAX) this.fail(new BodyTooLarge(`the body has more than ${BODY_BYTES_MAX} bytes`));
    else if (!this.#wantsAll) this.#tell();
    return true;
  }

  end(): void {
    this.#isWhole = true;
    this.#tell();
  }

  /** What is read from now on rejects, unless the body is whole. */
  fail(error: Error): void {
    if (this.#isWhole) return;
    this.#fault ??= error;
    this.#drop();
    this.#tell();
  }

  /** Nobody wants the rest. */
  pass(): void {
    this.#drop();
    this.#onRead();
  }

  /** All of it, when it is here and nobody has read any; else null. */
  whole(): Uint8Array | null {
    if (!this.#isWhole || this.#isRead || this.#isPassed || this.#fault !== null) return null;
    this.#isRead = true;
    return joined(this.#take());
  }

  /** Rejects with what `fail` was told. */
  async bytes(): Promise<Uint8Array> {
    this.#wantsAll = true;
    this.#isRead = true;
    this.#onRead();
    while (!this.#isWhole && this.#fault === null) await this.#more();
    if (this.#fault !== null) throw this.#fault;
    return joined(this.#take());
  }

  reader(): InboundReader {
    this.#isRead = true;
    this.#onRead();
    return {
      read: () => this.#next(),
      cancel: () => {
        this.pass();
        return Promise.resolve();
      },
    };
  }

  async #next(): Promise<InboundPiece> {
    while (this.#pieces.length === 0 && !this.#isWhole && this.#fault === null) await this.#more();
    if (this.#fault !== null) throw this.#fault;
    const value = this.#pieces.shift();
    if (value === undefined) return { done: true };
    this.#bytes -= value.length;
    this.#onRead();
    return { done: false, value };
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #take(): readonly Uint8Array[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }

  #drop(): void {
    this.#isPassed = true;
    this.#take();
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}
