/** What has arrived and waits to be forwarded, in order, each event once. The tail is never held up by a slow program behind it. */

export interface Arrival {
  readonly tenant: string;
  readonly id: string;
  readonly type: string;
  readonly acceptedAt: string;
}

/** Events that wait at most; beyond it they are counted and left out. */
const WAITING_MAX = 100_000;
/** Events that are recognised when they come again, from a list after they came live. */
const SEEN_MAX = 200_000;

export class Inbox {
  readonly #waiting: Arrival[] = [];
  readonly #seen = new Set<string>();
  #next = 0;
  #leftOut = 0;
  #isClosed = false;
  #wake: (() => void) | null = null;

  /** False for an event that was here before. */
  take(arrival: Arrival): boolean {
    const name = `${arrival.tenant}/${arrival.id}`;
    if (this.#seen.has(name)) return false;
    this.#seen.add(name);
    if (this.#seen.size > SEEN_MAX) for (const oldest of this.#seen) if (this.#seen.delete(oldest)) break;
    if (this.#waiting.length - this.#next >= WAITING_MAX) this.#leftOut += 1;
    else this.#waiting.push(arrival);
    this.#wake?.();
    return true;
  }

  /** The next one if there is one. */
  give(): Arrival | null {
    const arrival = this.#waiting[this.#next];
    if (arrival === undefined) return null;
    this.#next += 1;
    if (this.#next > 1024 && this.#next * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    return arrival;
  }

  /** How many were left out since this was last asked. */
  leftOut(): number {
    const count = this.#leftOut;
    this.#leftOut = 0;
    return count;
  }

  /** Resolves when something has come, or nothing more will. */
  async wait(): Promise<void> {
    if (this.#isClosed || this.#next < this.#waiting.length) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = null;
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }
}
