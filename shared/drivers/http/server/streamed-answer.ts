/**
 * An answer that is written as it comes, the last of its connection. One piece is taken at a time, and the next only when
 * the caller has taken the one before: what a slow caller leaves unread stays with whoever makes the stream.
 */
import type { Answer } from "./answer.ts";
import type { CallerSocket } from "./caller-socket.ts";
import { streamHeadText } from "./answer.ts";

const LINE_END = "\r\n";
/** RFC 9112 section 7.1. */
const LAST_CHUNK = "0\r\n\r\n";

/** What is used of the stream's reader: each runtime's types have one of their own. */
interface Reader {
  read(): Promise<{ readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

export class StreamedAnswer {
  readonly #socket: CallerSocket;
  readonly #reader: Reader;
  readonly #isChunked: boolean;
  #isGivenUp = false;

  constructor(
    socket: CallerSocket,
    stream: ReadableStream<Uint8Array>,
    { isChunked }: { readonly isChunked: boolean },
  ) {
    this.#socket = socket;
    this.#reader = stream.getReader();
    this.#isChunked = isChunked;
  }

  /**
   * Resolves with what ends the answer; null when the stream broke off or the connection is closed. `drained` resolves
   * when the next piece may be written.
   */
  async write(answer: Answer, date: string, drained: () => Promise<void>): Promise<string | null> {
    const isChunked = this.#isChunked;
    this.#socket.write(streamHeadText(answer, { isChunked, date }));
    try {
      for (;;) {
        const { value } = await this.#reader.read();
        if (this.#isGivenUp) return null;
        if (value === undefined) return isChunked ? LAST_CHUNK : "";
        // A chunk without bytes would be the last one.
        if (value.length === 0) continue;
        this.#socket.write(isChunked ? chunkOf(value) : value);
        await drained();
      }
    } catch {
      return null;
    }
  }

  /** Nobody reads it any more. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#reader.cancel().catch(() => undefined);
  }
}

function chunkOf(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(bytes.length.toString(16) + LINE_END), bytes, Buffer.from(LINE_END)]);
}
