/** A wait of a bench that ends with what did not come, in place of never. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";

/** `what` was waited for, as in "the first delivery". */
export async function within<Value>(seconds: number, what: string, work: Promise<Value>): Promise<Value> {
  const ended = await inTime(systemClock, seconds * 1000, work);
  if (ended.kind === "timeout") throw new Error(`${what} did not come within ${seconds} s`);
  return ended.value;
}
