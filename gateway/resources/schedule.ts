/** Plans deliveries that a person asked for; a full retry queue answers `overloaded`. */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { RetryQueue, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";

export async function scheduleOrRefuse(
  retryQueue: Pick<RetryQueue, "schedule">,
  items: readonly Scheduled[],
): Promise<void> {
  const result = await retryQueue.schedule(items);
  if (result.kind === "scheduled") return;
  const { retryAfterS } = result;
  throw new PosthasteError("overloaded", { detail: "The retry queue is full. Try again later.", retryAfterS });
}
