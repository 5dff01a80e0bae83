/**
 * Errors as `application/problem+json` (RFC 9457). A `PosthasteError` says what the caller may know. Anything else that is
 * thrown is our bug: it is logged, and the answer is 500 `internal` without its details.
 */
import type { ErrorCode, FieldProblem } from "@posthaste/shared/domain/errors.ts";
import { ERRORS, PosthasteError, problemType } from "@posthaste/shared/domain/errors.ts";
import type { Log } from "@posthaste/shared/telemetry/log.ts";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly errors?: readonly FieldProblem[];
  /** RateLimit header fields draft, "quota-exceeded". */
  readonly "violated-policies"?: readonly string[];
}

/** Most characters of a sentence and of a place in a problem: what the caller sent is named in it, not sent back. */
const DETAIL_LENGTH_MAX = 500;
const PLACE_LENGTH_MAX = 300;

/** Retry-After of a 503 that names no other time. */
const RETRY_AFTER_S = 1;

export function problemOf(error: PosthasteError): Problem {
  const { status, title } = ERRORS[error.code];
  const { detail, errors } = error.details;
  return {
    type: problemType(error.code),
    title,
    status,
    detail: clip(detail, DETAIL_LENGTH_MAX),
    code: error.code,
    ...(errors === undefined ? {} : { errors: errors.map(clipProblem) }),
    ...(error.code === "rate-limited" ? { "violated-policies": ["default"] } : {}),
  };
}

/** The text when it is short enough; else its beginning, never with half a character at the cut. */
export function clip(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  return `${text.slice(0, lengthMax - 3).replace(/[\ud800-\udbff]$/, "")}...`;
}

function clipProblem(problem: FieldProblem): FieldProblem {
  const { detail, pointer, header, parameter } = problem;
  return {
    detail: clip(detail, DETAIL_LENGTH_MAX),
    ...(pointer === undefined ? {} : { pointer: clip(pointer, PLACE_LENGTH_MAX) }),
    ...(header === undefined ? {} : { header: clip(header, PLACE_LENGTH_MAX) }),
    ...(parameter === undefined ? {} : { parameter: clip(parameter, PLACE_LENGTH_MAX) }),
  };
}

/** `headers` are those that the answer carries anyway, such as RateLimit. */
export function problemResponse(error: PosthasteError, headers: Readonly<Record<string, string>>): Response {
  const problem = problemOf(error);
  const all: Record<string, string> = {
    ...headers,
    ...error.details.headers,
    "content-type": "application/problem+json",
    "cache-control": "no-store",
  };
  const retryAfterS = error.details.retryAfterS ?? (problem.status === 503 ? RETRY_AFTER_S : null);
  if (retryAfterS !== null) all["retry-after"] = String(retryAfterS);
  if (problem.status === 401) all["www-authenticate"] = "Bearer";
  return new Response(JSON.stringify(problem), { status: problem.status, headers: all });
}

/** The error that the caller may see for anything thrown. */
export function publicError(thrown: unknown, log: Log, route: string): PosthasteError {
  if (thrown instanceof PosthasteError) return thrown;
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : "something that is not an Error";
  log.write("error", "request.crashed", { route, error: message });
  return new PosthasteError("internal", "Something went wrong on our side; it has been logged. Retrying is safe.");
}
