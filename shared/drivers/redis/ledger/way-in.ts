/**
 * How a batch of entries finds a store: Redis, tried for a moment; then the log, which keeps them until Redis is back; and
 * without either, both again for a minute. Once Redis was given up it has one short try for each batch until it takes one.
 */
import { PosthasteError, storeFault } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { inTime } from "../../../lib/in-time.ts";

/**
 * What Redis may take for a batch, its second tries included: a restart that is quick. What was delivered meanwhile is
 * acknowledged after it, and comes again when the process dies before.
 */
export const PATIENCE_MS = 500;
/** The same once it was given up. */
const SHORT_PATIENCE_MS = 250;
/** A batch is given up, and lost, after so long without either store. */
export const RECORD_BUDGET_MS = 60_000;

const AGAIN_MS = 100;
const AGAIN_MS_MAX = 2000;

export interface WayIn {
  /**
   * What `write` resolves to, or null when `spill` took the batch. What may not pass is thrown at once. `isAgain`: it was tried before,
   * and that try may have been carried out.
   */
  take<Answer>(
    write: (isAgain: boolean) => Promise<Answer>,
    spill: (() => Promise<void>) | null,
  ): Promise<Answer | null>;
}

/** `endsAtMs` is on the monotonic clock and cuts the budget of calls under way. */
export function createWayIn(options: {
  readonly clock: Pick<Clock, "monotonic" | "sleep" | "timer">;
  readonly endsAtMs: () => number;
}): WayIn {
  const { clock, endsAtMs } = options;
  let isGivenUp = false;

  async function byRedis<Answer>(write: () => Promise<Answer>, untilMs: number): Promise<Answer> {
    const leftMs = Math.max(1, untilMs - clock.monotonic());
    const written = await inTime(clock, leftMs, write());
    if (written.kind === "timeout") throw storeFault("Redis took no records in time.");
    isGivenUp = false;
    return written.value;
  }

  return {
    async take<Answer>(write: (isAgain: boolean) => Promise<Answer>, spill: (() => Promise<void>) | null) {
      const beganAtMs = clock.monotonic();
      const lastAtMs = beganAtMs + (spill === null && isGivenUp ? 0 : RECORD_BUDGET_MS);
      const patientUntilMs = beganAtMs + (isGivenUp ? SHORT_PATIENCE_MS : PATIENCE_MS);
      let isAgain = false;
      const writeOnce = (): Promise<Answer> => {
        const written = write(isAgain);
        isAgain = true;
        return written;
      };
      for (let waitMs = AGAIN_MS; ; waitMs = Math.min(waitMs * 2, AGAIN_MS_MAX)) {
        const nowMs = clock.monotonic();
        try {
          return await byRedis(writeOnce, Math.max(patientUntilMs, nowMs + SHORT_PATIENCE_MS));
        } catch (error) {
          if (!mayPass(error)) throw error;
          const isPatient = !isGivenUp && clock.monotonic() + waitMs < patientUntilMs;
          if (spill !== null && !isPatient) {
            isGivenUp = true;
            if (await isSpilled(spill)) return null;
          }
          if (clock.monotonic() >= Math.min(lastAtMs, endsAtMs())) {
            isGivenUp = true;
            throw error;
          }
          await clock.sleep(waitMs, NEVER);
        }
      }
    },
  };
}

async function isSpilled(spill: () => Promise<void>): Promise<boolean> {
  try {
    await spill();
    return true;
  } catch (error) {
    if (!mayPass(error)) throw error;
    return false;
  }
}

function mayPass(error: unknown): boolean {
  return error instanceof PosthasteError && error.retriable;
}

/** The tries are bounded by themselves. */
const NEVER = new AbortController().signal;
