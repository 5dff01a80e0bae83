/**
 * Errors as answers. A `PosthasteError` says what the caller may know. Anything else that is thrown is our bug: it is
 * logged, and the answer is 500 `internal` without its details.
 */
import { ERRORS, PosthasteError, reasonOf } from "@posthaste/shared/domain/errors.ts";
import { problemHeaders, problemOf } from "@posthaste/shared/domain/problem.ts";
import { textResponse } from "@posthaste/shared/ports/text-response.ts";
import type { RequestContext } from "./context.ts";
import type { Log } from "@posthaste/shared/telemetry/log.ts";

/** `headers` are those that the answer carries anyway, such as RateLimit. The trace id finds our log lines and spans. */
export function problemResponse(
  error: PosthasteError,
  headers: Readonly<Record<string, string>>,
  { trace }: Pick<RequestContext, "trace">,
): Response {
  const problem = { ...problemOf(error), trace_id: trace.traceId };
  return textResponse({
    status: problem.status,
    headers: { ...headers, ...problemHeaders(error) },
    text: JSON.stringify(problem),
  });
}

/** Keeps for telemetry what a request was refused with; the causes of a 5xx are for the log alone. */
export function noteRefusal(context: RequestContext, error: PosthasteError): void {
  context.code = error.code;
  if (ERRORS[error.code].status >= 500) context.reason = reasonOf(error);
}

/** The error that the caller may see for anything thrown. */
export function publicError(thrown: unknown, log: Log, route: string): PosthasteError {
  if (thrown instanceof PosthasteError) return thrown;
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : "something that is not an Error";
  log.write("error", "request.crashed", { route, error: message });
  return new PosthasteError("internal", "Something went wrong on our side; it has been logged. Retrying is safe.");
}
