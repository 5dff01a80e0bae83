/** Whether and when a call is tried again: pure decisions over what one try came to. */

/** What one request came to: an answer, or none that was whole. */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number; readonly retryAfterS: number | null; readonly body: unknown }
  | { readonly kind: "failed"; readonly cause: unknown };

/** The wait before the second try is about this; it doubles with each further one. */
const FIRST_WAIT_MS = 250;
const WAIT_MS_MAX = 8000;

/** 408, 425 and 429 say that nothing was taken. */
const REFUSED = new Set([408, 425, 429]);
/** Codes of a 503 that say the same. */
const REFUSED_CODES = new Set(["overloaded", "stopping"]);
/** What stays so, however often it is asked. */
const LASTING = new Set([501, 505]);

/**
 * `isRepeatable`: the call done twice is the same as once, by its nature or by its key. Any other is tried again only when
 * it is certain that nothing was done.
 */
export function mayPass(outcome: Outcome, isRepeatable: boolean): boolean {
  if (outcome.kind === "failed") return isRepeatable;
  const { status, body } = outcome;
  const code = codeOf(body);
  if (REFUSED.has(status) || (status === 503 && REFUSED_CODES.has(code))) return true;
  if (status === 409) return code === "request-in-flight";
  return status >= 500 && !LASTING.has(status) && isRepeatable;
}

/** Between half and the whole of a doubling wait, and never sooner than `Retry-After` asks. `tries`: made so far, from 1. */
export function waitMs(outcome: Outcome, tries: number, random: () => number): number {
  const whole = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), WAIT_MS_MAX);
  const own = whole / 2 + (whole / 2) * random();
  return outcome.kind === "answered" && outcome.retryAfterS !== null ? Math.max(own, outcome.retryAfterS * 1000) : own;
}

/** Seconds, or a date (RFC 9110 section 10.2.3); null when it is neither. `nowMs`: since 1970. */
export function retryAfterS(field: string | null, nowMs: number): number | null {
  if (field === null) return null;
  if (/^\d{1,9}$/.test(field)) return Number(field);
  const atMs = /[a-z]/i.test(field) ? Date.parse(field) : NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, Math.ceil((atMs - nowMs) / 1000));
}

function codeOf(body: unknown): string {
  return typeof body === "object" && body !== null && "code" in body && typeof body.code === "string" ? body.code : "";
}
