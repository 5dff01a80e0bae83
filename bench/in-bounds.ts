/** Waits of a bench that end: with what came, or with words that say what did not. */
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";

/** Rejects when the work takes longer than `ms`; `what` is the end of "... took longer than 60 s". */
export async function within<Value>(ms: number, what: string, work: Promise<Value>): Promise<Value> {
  const ended = await inTime(systemClock, ms, work);
  if (ended.kind === "done") return ended.value;
  throw new Error(`${what} took longer than ${(ms / 1000).toFixed(0)} s`);
}
