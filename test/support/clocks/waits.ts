/** What every clock of the tests adds to its timers: waits that end with a signal, and deadlines. */
import type { Cancel, Clock, Deadline } from "@posthaste/shared/lib/ambient.ts";
import { DeadlineExceeded } from "@posthaste/shared/lib/ambient.ts";

export type ClockBasics = Pick<Clock, "now" | "monotonic" | "timer" | "soon"> & Partial<Pick<Clock, "onStandstill">>;

export function withWaits(basics: ClockBasics): Clock {
  return {
    onStandstill: () => () => undefined,
    ...basics,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error);
        const stop = (): void => {
          cancel();
          reject(signal.reason as Error);
        };
        const cancel = basics.timer(ms, () => {
          signal.removeEventListener("abort", stop);
          resolve();
        });
        signal.addEventListener("abort", stop, { once: true });
      });
    },
    deadline: (ms, parent) => startDeadline(basics, ms, parent),
  };
}

function startDeadline(basics: ClockBasics, ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  let cancel: Cancel = () => undefined;
  const follow = (): void => end(parent?.reason);
  const dispose = (): void => {
    cancel();
    parent?.removeEventListener("abort", follow);
  };
  const end = (reason: unknown): void => {
    dispose();
    controller.abort(reason);
  };
  if (parent?.aborted === true) {
    end(parent.reason);
  } else {
    cancel = basics.timer(ms, () => end(new DeadlineExceeded(ms)));
    parent?.addEventListener("abort", follow, { once: true });
  }
  return { signal: controller.signal, [Symbol.dispose]: dispose };
}
