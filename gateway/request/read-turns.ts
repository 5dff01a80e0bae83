/**
 * Reads (GET) take turns, tenants in turn, and each holds its turn for as long again as it took: where a read keeps the event
 * loop busy, as in the embedded set, reads take half of its time at most, whoever reads how much, and publishing and
 * delivering find their turn in between.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { createTurns } from "@posthaste/shared/lib/turns.ts";

/** A turn is held no longer than this after its read; most of a longer read was waiting, not work. */
export const PAUSE_MS_MAX = 20;
/** A shorter read needs no pause. */
const PAUSE_MS_MIN = 1;

export interface ReadTurns {
  /** Resolves or rejects as `read` does, at once when it does. Those who wait are bounded by the requests at work. */
  run<Result>(tenant: string, read: () => Promise<Result>): Promise<Result>;
}

/** `atOnceMax`: reads that run at once, at least 1. */
export function createReadTurns(atOnceMax: number, clock: Pick<Clock, "monotonic" | "timer">): ReadTurns {
  const turns = createTurns(() => atOnceMax);

  async function pause(ms: number): Promise<void> {
    if (ms < PAUSE_MS_MIN) return;
    await new Promise<void>((resolve) => void clock.timer(Math.min(ms, PAUSE_MS_MAX), resolve));
  }

  return {
    run(tenant, read) {
      return new Promise((resolve, reject) => {
        void turns.run(tenant, async () => {
          const startedMs = clock.monotonic();
          await read().then(resolve, reject);
          await pause(clock.monotonic() - startedMs);
        });
      });
    },
  };
}
