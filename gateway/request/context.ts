/**
 * One request from its arrival to its answer: its time budget, and what telemetry reports at the end. If the budget ends
 * while the body arrives, the answer is 408. If it ends later, the answer is 503: the work may have been done, and a
 * repeat is safe.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";

export interface RequestContext {
  /** The route's template; never the path. */
  route: string;
  /** The code of the problem it was answered with. */
  code: string | null;
  /** Ends the reading of the body; null while no body is read. */
  cancelReading: (() => void) | null;
  isReading: boolean;
  /** The answer was sent before the work ended. */
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

/** Throws once the answer was sent. Called before each step that changes something. */
export function requireInTime(context: RequestContext): void {
  if (context.isOver) throw new PosthasteError("store-unavailable", "The request's time is over.");
}

/** Runs `read` as the arrival of the body. A body that is late, or that we cut off, is never used. */
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
