/**
 * One timer at most, for the earliest time of day it was set for. It rings at least once a minute while it is set: after
 * a step of the clock, or a sleep of the machine, the time left is another than the timer's. So whoever is rung looks for
 * himself what is due, and sets it again.
 */
import type { Cancel, Clock } from "./ambient.ts";

/** The longest that a due time may be passed over after a step of the clock. */
export const ALARM_MS_MAX = 60_000;

export class Alarm {
  readonly #clock: Pick<Clock, "now" | "timer">;
  readonly #ring: () => void;
  #timer: { readonly atMs: number; readonly cancel: Cancel } | null = null;

  /** `ring` may come sooner than asked, and is never called twice for one setting. */
  constructor(clock: Pick<Clock, "now" | "timer">, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Null sets nothing; a later time than the one it waits for is left to whoever is rung. */
  setFor(atMs: number | null): void {
    if (atMs === null || (this.#timer !== null && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    // At least 1 ms: a timer that came early by less than that is set once more, and not in a tight circle.
    const waitMs = Math.min(Math.max(1, atMs - this.#clock.now()), ALARM_MS_MAX);
    const cancel = this.#clock.timer(waitMs, () => {
      this.#timer = null;
      this.#ring();
    });
    this.#timer = { atMs, cancel };
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
