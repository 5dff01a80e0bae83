/** Errors as `application/problem+json` (RFC 9457): what the caller may know, and never more than a bounded part of what it sent. */
import type { ErrorCode, FieldProblem, PosthasteError } from "./errors.ts";
import { ERRORS, problemType } from "./errors.ts";

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

/** The fields that every problem carries: those of the error, its media type, and what its status asks for. */
export function problemHeaders(error: PosthasteError): Record<string, string> {
  const { status } = ERRORS[error.code];
  const headers: Record<string, string> = {
    ...error.details.headers,
    "content-type": "application/problem+json",
    "cache-control": "no-store",
  };
  const retryAfterS = error.details.retryAfterS ?? (status === 503 ? RETRY_AFTER_S : null);
  if (retryAfterS !== null) headers["retry-after"] = String(retryAfterS);
  if (status === 401) headers["www-authenticate"] = "Bearer";
  return headers;
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
