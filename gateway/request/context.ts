/**
 * One request under way: its time budget, and what telemetry says of it at the end. The budget covers the arrival of the
 * body (408 when it runs out there) and the work after it (503: whether that was done is then unknown, a repeat is safe).
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";

export interface RequestContext {
  /** The route's template; never the path. */
  route: string;
  /** The code of the problem it was answered with. */
  code: string | null;
  /** Ends the reading of the body; null while nothing is read. */
  cancelReading: (() => void) | null;
  isReading: boolean;
  /** The answer went out without waiting for the work. */
  isOver: boolean;
  /** Fields that each answer carries, RateLimit above all. */
  readonly headers: Record<string, string>;
}

export function createRequestContext(): RequestContext {
  return { route: "unmatched", code: null, cancelReading: null, isReading: false, isOver: false, headers: {} };
}

/** Called when the budget is spent; the error is the answer. */
export function endRequest(context: RequestContext, budgetMs: number): PosthasteError {
  context.isOver = true;
  const error = context.isReading
    ? lateBody()
    : new PosthasteError("store-unavailable", {
        detail: `No answer within ${budgetMs} ms; whether the request was carried out is unknown. Send it again, best with the same Idempotency-Key.`,
        retryAfterS: 1,
      });
  context.code = error.code;
  context.cancelReading?.();
  return error;
}

/** Stops work that nobody waits for any more; called before each step that would change something. */
export function requireInTime(context: RequestContext): void {
  if (context.isOver) throw new PosthasteError("store-unavailable", "The request's time is over.");
}

/** Runs `read` as the arrival of the body: a body that came too late, or was cut off by us, is never used. */
export async function readInTime<Content>(context: RequestContext, read: () => Promise<Content>): Promise<Content> {
  context.isReading = true;
  try {
    const content = await read();
    if (!context.isOver) return content;
  } catch (failure) {
    if (!context.isOver) throw failure;
  } finally {
    context.isReading = false;
    context.cancelReading = null;
  }
  throw lateBody();
}

function lateBody(): PosthasteError {
  return new PosthasteError(
    "request-timeout",
    "The body did not arrive in time; nothing of it was taken. Send it again.",
  );
}
