/**
 * The time of day of the partition log. Delay topics go by it, and not by the clock of each process: records carry it, and
 * what one process plans another one hands out. Our own clock stands for it while it agrees. One that is behind what the
 * log has shown was set back, and is not believed: the log's time then runs on by the clock that never steps. One that is
 * ahead is believed, since so it is after a sleep of the machine, until a record of our own tells by how much it is: else what
 * we plan would be due at once, and planned again without end.
 */
import type { Clock } from "../../../lib/ambient.ts";

/** Clocks that differ by less agree. */
const AGREED_MS = 2000;
/**
 * What is written waits ten seconds for the log at most. When the log took a record so much later than
 * its writer's clock says, that clock is behind.
 */
export const WRITING_MS_MAX = 15_000;

export interface LogTime {
  /** Epoch ms, whole. */
  now(): number;
  /**
   * A record was read that the log took at `timestampMs`; of the one before it in its partition that was `beforeMs`. By how
   * much the log's own clock was set back in between, 0 when it was not.
   */
  seen(timestampMs: number, beforeMs: number): number;
  /** A record was read that `writer` gave away when its clock showed `writtenAtMs`, and that the log took at `timestampMs`. */
  written(writer: string, writtenAtMs: number, timestampMs: number): void;
}

/** `self`: what our own records name as their writer. */
export function createLogTime(clock: Pick<Clock, "now" | "monotonic">, self: string): LogTime {
  /** What the log's time is ahead of the steady clock, at least. */
  let aheadMs = -Infinity;
  const shownMs = (): number => Math.floor(clock.monotonic() + aheadMs);
  /** What our own clock is ahead of the log's, by our record read last. */
  let leadMs = 0;
  return {
    now() {
      const nowMs = clock.now() - leadMs;
      return nowMs < shownMs() - AGREED_MS ? shownMs() : nowMs;
    },
    seen(timestampMs, beforeMs) {
      if (timestampMs >= beforeMs - AGREED_MS) {
        aheadMs = Math.max(aheadMs, timestampMs - clock.monotonic());
        return 0;
      }
      // The record may have lain there for a while: our own clock tells how long, when it was set back with the log's.
      const [wasMs, nowMs] = [shownMs(), clock.now()];
      const isMs = nowMs > timestampMs && nowMs < wasMs ? nowMs : timestampMs;
      aheadMs = isMs - clock.monotonic();
      return wasMs - isMs > AGREED_MS ? wasMs - isMs : 0;
    },
    written(writer, writtenAtMs, timestampMs) {
      if (writer !== self) return;
      const ms = writtenAtMs - timestampMs;
      leadMs = ms > AGREED_MS ? ms : 0;
    },
  };
}

/**
 * A time that a process planned by its own clock, as the log's: `writtenAtMs` is what that clock showed when the record was
 * given away, null when it is the log's time already.
 */
export function asLogTime(plannedMs: number, writtenAtMs: number | null, timestampMs: number): number {
  const behindMs = writtenAtMs === null ? 0 : timestampMs - writtenAtMs;
  return behindMs < -AGREED_MS || behindMs > WRITING_MS_MAX ? plannedMs + behindMs : plannedMs;
}
