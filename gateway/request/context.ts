/**
 * One request from its arrival to its answer: its time budget, and what telemetry reports at the end. If the budget ends
 * while the body arrives, the answer is 408. If it ends later, the answer is 503: the work may have been done, and a
 * repeat is safe.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { RequestTrace } from "@posthaste/shared/telemetry/request-trace.ts";

export interface RequestContext {
  /** The route's template; never the path. */
  route: string;
  /** The code of the problem it was answered with. */
  code: string | null;
  /** Of a 5xx: what was thrown, with its causes. For the log alone. */
  reason: string | null;
  /** Ends the reading of the body; null while no body is read. */
  cancelReading: ((late: PosthasteError) => void) | null;
  /** Answers at once because `budgetMs` are over. Null until the request is under way. */
  expire: ((budgetMs: number) => void) | null;
  /** The answer was sent before the work ended. */
  isOver: boolean;
  /** Fields that each answer carries, RateLimit above all. */
  readonly headers: Record<string, string>;
  readonly trace: RequestTrace;
}

export function createRequestContext(trace: RequestTrace): RequestContext {
  return {
    route: "unmatched",
    code: null,
    reason: null,
    cancelReading: null,
    expire: null,
    isOver: false,
    headers: {},
    trace,
  };
}

/** Called when the budget is spent; the error is the answer. */
export function endRequest(context: RequestContext, budgetMs: number): PosthasteError {
  context.isOver = true;
  const { cancelReading } = context;
  const error =
    cancelReading !== null
      ? lateBody(budgetMs)
      : new PosthasteError("store-unavailable", {
          detail: `No answer within ${budgetMs} ms; whether the request was carried out is unknown. Send it again, best with the same Idempotency-Key.`,
          retryAfterS: 1,
        });
  context.code = error.code;
  cancelReading?.(error);
  return error;
}

/** Throws once the answer was sent. Called before each step that changes something. */
export function requireInTime(context: RequestContext): void {
  if (context.isOver) throw new PosthasteError("store-unavailable", "The request's time is over.");
}

/**
 * Runs `read` as the arrival of the body. It ends with the request's time, whatever `read` does, and what comes after
 * that is never used. `read` is given the function that registers how to give the body up.
 */
export function readInTime<Content>(
  context: RequestContext,
  read: (onTimeout: (giveUp: () => void) => void) => Promise<Content>,
): Promise<Content> {
  return new Promise((resolve, reject) => {
    let giveUp = (): void => undefined;
    context.cancelReading = (late) => {
      context.cancelReading = null;
      reject(late);
      giveUp();
    };
    read((given) => {
      giveUp = given;
    })
      .finally(() => {
        if (!context.isOver) context.cancelReading = null;
      })
      .then(resolve, reject);
  });
}

/** The rest of the body is not waited for, so the connection ends with the answer (RFC 9110 section 15.5.9). */
function lateBody(budgetMs: number): PosthasteError {
  return new PosthasteError("request-timeout", {
    detail: `The body did not arrive within ${budgetMs} ms; nothing of it was taken. Send it again.`,
    headers: { connection: "close" },
  });
}
