/**
 * One timer at most, for the earliest time it was set for, and at least once a minute while it is set: after a sleep of
 * the machine, or a step of its clock, the time left is another than the timer's.
 */
import type { Cancel, Clock } from "../../../lib/ambient.ts";

const LOOK_EVERY_MS = 60_000;

export interface WheelAlarm {
  /** Null sets nothing; a later time than the one it waits for is left to whoever it rings for. */
  setFor(dueAtMs: number | null): void;
  stop(): void;
}

export function createWheelAlarm(clock: Pick<Clock, "now" | "timer">, ring: () => void): WheelAlarm {
  let timer: { readonly dueAtMs: number; readonly cancel: Cancel } | null = null;
  return {
    setFor(dueAtMs: number | null): void {
      if (dueAtMs === null || (timer !== null && timer.dueAtMs <= dueAtMs)) return;
      timer?.cancel();
      // At least 1 ms: a timer that came early by less than that is set once more, and not in a tight circle.
      const cancel = clock.timer(Math.min(Math.max(1, dueAtMs - clock.now()), LOOK_EVERY_MS), () => {
        timer = null;
        ring();
      });
      timer = { dueAtMs, cancel };
    },
    stop(): void {
      timer?.cancel();
      timer = null;
    },
  };
}
