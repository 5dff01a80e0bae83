/** An answer that many may ask for and that costs something to find: found once at a time, and then kept for a moment. */
import type { Clock } from "./ambient.ts";

/**
 * The function asks `find` unless that is under way or was answered less than `keepMs` ago. A failure goes to all who share
 * it, and is not kept.
 */
export function brieflyKept<Answer>(
  find: () => Promise<Answer>,
  { clock, keepMs }: { readonly clock: Pick<Clock, "monotonic">; readonly keepMs: number },
): () => Promise<Answer> {
  let latest: Promise<Answer> | null = null;
  /** Infinity while it is being found. */
  let keptUntilMs = 0;
  return () => {
    if (latest !== null && clock.monotonic() < keptUntilMs) return latest;
    keptUntilMs = Infinity;
    latest = find().then(
      (answer) => {
        keptUntilMs = clock.monotonic() + keepMs;
        return answer;
      },
      (error: unknown) => {
        keptUntilMs = 0;
        throw error;
      },
    );
    return latest;
  };
}
