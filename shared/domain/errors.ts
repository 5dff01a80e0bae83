/**
 * Every error a caller can meet, in one table: stable code, HTTP status, title. docs/errors.md is checked against it.
 * RFC 9457 problem details; the two IANA problem types where one fits (RateLimit header fields draft).
 */

interface ErrorKind {
  readonly status: number;
  readonly title: string;
  /** Problem type URI; a URN of ours unless the IANA registry has one. */
  readonly type?: string;
}

const IANA = "https://iana.org/assignments/http-problem-types";

export const ERRORS = {
  "invalid-request": { status: 400, title: "The request is not valid HTTP/1.1" },
  "invalid-json": { status: 400, title: "The body is not valid JSON" },
  "invalid-utf8": { status: 400, title: "The body is not valid UTF-8" },
  "too-deep": { status: 400, title: "The JSON is nested too deeply" },
  "invalid-header": { status: 400, title: "A header is not valid" },
  "invalid-query": { status: 400, title: "A query parameter is not valid" },
  unauthenticated: { status: 401, title: "No valid API key" },
  "key-expired": { status: 401, title: "The API key has expired" },
  "key-revoked": { status: 401, title: "The API key was revoked" },
  "missing-scope": { status: 403, title: "The API key lacks a scope" },
  "wrong-tenant": { status: 403, title: "The API key belongs to another tenant" },
  "not-found": { status: 404, title: "Not found" },
  "method-not-allowed": { status: 405, title: "Method not allowed" },
  "request-timeout": { status: 408, title: "The request took too long to arrive" },
  "id-conflict": { status: 409, title: "An event with this id and another body exists" },
  "request-in-flight": { status: 409, title: "Another request is still at work on this" },
  conflict: { status: 409, title: "The resource is in another state" },
  gone: { status: 410, title: "No longer available" },
  "body-too-large": { status: 413, title: "The body is too large" },
  "unsupported-media-type": { status: 415, title: "Unsupported content type" },
  "expectation-failed": { status: 417, title: "The expectation is not known" },
  "invalid-cursor": { status: 422, title: "The cursor is not one of ours" },
  "validation-failed": { status: 422, title: "The request does not fit the schema" },
  "idempotency-mismatch": { status: 422, title: "The idempotency key was used with another body" },
  "forbidden-address": { status: 422, title: "The URL leads to an address that must not be called" },
  "limit-reached": { status: 422, title: "A limit on stored resources is reached" },
  "rate-limited": { status: 429, title: "Rate limit exceeded", type: `${IANA}#quota-exceeded` },
  "share-reached": { status: 429, title: "Too much of one key or tenant at once" },
  "head-too-large": { status: 431, title: "The request's head is too large" },
  internal: { status: 500, title: "Unexpected error" },
  "not-at-edge": { status: 501, title: "A gateway at the edge does not do this" },
  "transfer-coding-not-supported": { status: 501, title: "The transfer coding is not supported" },
  overloaded: { status: 503, title: "Too much is waiting", type: `${IANA}#temporary-reduced-capacity` },
  "store-unavailable": { status: 503, title: "The store is not available", type: `${IANA}#temporary-reduced-capacity` },
  stopping: { status: 503, title: "The server is stopping", type: `${IANA}#temporary-reduced-capacity` },
  "version-not-supported": { status: 505, title: "This version of HTTP is not taken" },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export function problemType(code: ErrorCode): string {
  const kind: ErrorKind = ERRORS[code];
  return kind.type ?? `urn:posthaste:problem:${code}`;
}

/** One thing wrong with one field: `pointer` is a JSON pointer (RFC 6901) as URI fragment, `#/data`. */
export interface FieldProblem {
  readonly detail: string;
  readonly pointer?: string;
  readonly header?: string;
  readonly parameter?: string;
}

export interface ProblemDetails {
  /** One sentence: what is wrong here and what to do about it. Never a stack, a query or a secret. */
  readonly detail: string;
  readonly errors?: readonly FieldProblem[];
  /** Seconds, whole, at least 1; becomes Retry-After. */
  readonly retryAfterS?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is kept there is not what we wrote: the same call fails again until somebody has mended it. */
  readonly isDamage?: boolean;
  /** The error's message in logs, where that names a store, a topic or a setting: those are no affair of who calls the API. */
  readonly logged?: string;
}

const REASON_LENGTH_MAX = 500;
const CAUSES_MAX = 4;

/** For the log alone: what was thrown, with the causes behind it, which name hosts and files of ours. */
export function reasonOf(thrown: unknown): string {
  const words: string[] = [];
  for (let at = thrown, depth = 0; at !== undefined && at !== null && depth < CAUSES_MAX; depth++) {
    const text = at instanceof Error ? at.message : typeof at === "string" ? at : "something that is no error";
    if (!words.some((said) => said.includes(text))) words.push(text);
    at = at instanceof Error ? at.cause : null;
  }
  // A sentence that goes on has no full stop.
  const sentence = words
    .map((text, place) => (place < words.length - 1 ? text.replace(/[\s.]+$/, "") : text))
    .join(": ");
  return sentence.replace(/\s+/g, " ").slice(0, REASON_LENGTH_MAX);
}

/** The one error class that leaves a driver or a route on purpose. */
export class PosthasteError extends Error {
  readonly code: ErrorCode;
  readonly details: ProblemDetails;
  /** The same call may succeed later without any change. */
  readonly retriable: boolean;
  constructor(code: ErrorCode, details: ProblemDetails | string, cause?: unknown) {
    const full = typeof details === "string" ? { detail: details } : details;
    super(full.logged ?? full.detail, cause === undefined ? undefined : { cause });
    this.name = "PosthasteError";
    this.code = code;
    this.details = full;
    const { status } = ERRORS[code];
    this.retriable = (status === 503 || status === 429) && full.isDamage !== true;
  }
}

/** Seconds until a caller of a store that failed may try again, where nobody knows better. */
const STORE_AGAIN_S = 1;

/**
 * A store of ours did not do its work. `logged` is one sentence that names it; the caller learns what that means for him and
 * when to come again.
 */
export function storeFault(
  logged: string,
  parts: {
    readonly code?: "store-unavailable" | "overloaded";
    readonly retryAfterS?: number;
    readonly isDamage?: boolean;
    readonly cause?: unknown;
  } = {},
): PosthasteError {
  const { code = "store-unavailable", retryAfterS = STORE_AGAIN_S, isDamage: isDamaged = false, cause } = parts;
  const what = isDamaged
    ? "A record that this needs does not read back; an operator has to mend or remove it."
    : code === "overloaded"
      ? "Too much waits to be stored."
      : "The store cannot be reached.";
  const detail = `${what} Try again in ${retryAfterS} s.`;
  return new PosthasteError(code, { detail, retryAfterS, logged, isDamage: isDamaged }, cause);
}

/** A record in the store does not read back: it costs itself, and says nothing of the store. */
export function isDamage(error: unknown): boolean {
  return error instanceof PosthasteError && error.details.isDamage === true;
}

/** The store cannot be reached or written at the moment: the one failure that callers bridge with what they know. */
export function isStoreUnavailable(error: unknown): error is PosthasteError {
  return error instanceof PosthasteError && error.code === "store-unavailable";
}
