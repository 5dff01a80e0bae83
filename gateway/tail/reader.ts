/**
 * One reader of the tail: a stream of bytes, and what of it is not read yet. It is pulled, so that a caller who does not
 * read leaves its part here, where it is counted. Past `UNREAD_BYTES_MAX` there is no more room, and the reader is ended.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { TailFilter } from "./filter.ts";

/** Of one reader. What its connection was given to write may be as much again. */
export const UNREAD_BYTES_MAX = 512 * 1024;

export class TailReader {
  readonly caller: ApiKey;
  readonly filter: TailFilter;
  readonly stream: ReadableStream<Uint8Array>;
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #unreadEntries = 0;
  #isEnded = false;
  #wake: (() => void) | null = null;

  /** `onLeave`: the caller is gone. */
  constructor({ caller, filter, onLeave }: { caller: ApiKey; filter: TailFilter; onLeave: () => void }) {
    this.caller = caller;
    this.filter = filter;
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#give(controller),
        cancel: () => {
          this.#isEnded = true;
          onLeave();
        },
      },
      // Nothing is made before it is asked for.
      { highWaterMark: 0 },
    );
  }

  /** So many entries have not been taken from here. */
  get unreadEntries(): number {
    return this.#unreadEntries;
  }

  /** False when there is no room; then nothing of it is kept. */
  push(bytes: Uint8Array, entries: number): boolean {
    if (this.#unreadBytes + bytes.length > UNREAD_BYTES_MAX) return false;
    this.#add(bytes, entries);
    return true;
  }

  /** The stream ends with `last`; who was slow gets nothing of what waits before it. */
  end(last: Uint8Array, { dropsUnread }: { readonly dropsUnread: boolean }): void {
    if (dropsUnread) this.#unread = [];
    this.#isEnded = true;
    this.#add(last, 0);
  }

  #add(bytes: Uint8Array, entries: number): void {
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.length;
    this.#unreadEntries += entries;
    this.#wake?.();
  }

  /** What there is, as soon as there is something. */
  async #give(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#unread.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = null;
    for (const bytes of this.#unread) controller.enqueue(bytes);
    this.#unread = [];
    this.#unreadBytes = 0;
    this.#unreadEntries = 0;
    if (this.#isEnded) controller.close();
  }
}
