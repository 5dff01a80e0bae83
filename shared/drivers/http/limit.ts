/**
 * One deadline and one signal for all stages of a request: whoever waits says how it is given up. An AbortSignal for each
 * request would cost a tenth of a send.
 */
import { DeadlineExceeded } from "../../lib/ambient.ts";
import { onAbort } from "../../lib/on-abort.ts";
import type { ExchangeLimits } from "./http-client.ts";
import type { MilestoneRecord } from "./milestones.ts";

export class Limit implements Disposable {
  /** `ExchangeLimits.milestones`. */
  readonly milestones: MilestoneRecord | null;
  readonly #cancelTimer: () => void;
  readonly #cancelAbort: () => void;
  #giveUp: ((reason: unknown) => void) | null = null;
  #reason: { readonly value: unknown } | null = null;

  constructor({ clock, timeoutMs, signal, milestones }: ExchangeLimits) {
    this.milestones = milestones;
    this.#cancelTimer = clock.timer(timeoutMs, () => this.#end(new DeadlineExceeded(timeoutMs)));
    this.#cancelAbort = onAbort(signal, () => this.#end(signal.reason));
    if (signal.aborted) this.#end(signal.reason);
  }

  /** `giveUp` is called at the end, at once if it has come. It takes the place of the one before. */
  onEnd(giveUp: (reason: unknown) => void): void {
    this.#giveUp = giveUp;
    if (this.#reason !== null) giveUp(this.#reason.value);
  }

  [Symbol.dispose](): void {
    this.#giveUp = null;
    this.#cancelTimer();
    this.#cancelAbort();
  }

  #end(reason: unknown): void {
    if (this.#reason !== null) return;
    this.#reason = { value: reason };
    this.#giveUp?.(reason);
  }
}
