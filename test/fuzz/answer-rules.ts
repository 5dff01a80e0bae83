/** What every answer keeps, whatever was asked: each rule gives a sentence when it is broken. */
import { ERRORS } from "@posthaste/shared/domain/errors.ts";
import type { Drawn } from "./request-grammar.ts";
import type { RawAnswer } from "./raw-client.ts";

/** Answers to what is no HTTP: by the parser, at times without a problem, as no code of ours runs. */
const PARSER_STATUSES: ReadonlySet<number> = new Set([400, 405, 408, 411, 413, 414, 417, 431, 501, 505]);
/** No refusal sends back what was sent: the largest has 20 problems of two clipped texts. */
const PROBLEM_BYTES_MAX = 20 * 1024;
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/;
const instantNames = /^(?:at|since|until|timestamp|deliver_at|next_until|\w+_since|\w+_at)$/;
/** Their form is held by tests of their own. */
const FIXED_TEXTS: ReadonlySet<string> = new Set(["GET /metrics", "GET /openapi.json", "GET /docs"]);
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Of a tenant's own things; no other's answer has them. */
export const MARK_OF = { acme: "zq-mark-of-acme", beta: "zq-mark-of-beta" } as const;

/** Null when all is well. */
export function faultOf(drawn: Drawn, answer: RawAnswer): string | null {
  const { request } = drawn;
  if (answer.kind === "hung") return "no answer came";
  if (answer.kind === "closed") return request.isUnframed || request.isCut ? null : "closed without an answer";
  const { status, headers, body } = answer;
  if (request.isUnframed && PARSER_STATUSES.has(status) && body.length === 0) return null;
  // 501 and 505 (RFC 9110 section 15.6) are the parser's words for what is no HTTP/1.1.
  if (status >= 500 && !(request.isUnframed && PARSER_STATUSES.has(status))) return `answered ${status}`;
  if (request.method === "HEAD") return body.length === 0 ? null : "HEAD was answered with a body";
  if (status === 204) return null;
  const text = decoder.decode(body);
  const foreign = foreignMark(drawn.caller, text);
  if (foreign !== null) return `shows ${foreign} to ${drawn.caller ?? "nobody"}`;
  if (FIXED_TEXTS.has(drawn.route) && status === 200) return null;
  const type = headers.get("content-type");
  if (drawn.route === "GET /v1/tail" && status === 200)
    return type === "text/event-stream" ? null : `a tail of ${type}`;
  const json = parsed(text);
  if (json === undefined) return `is no JSON: ${text.slice(0, 200)}`;
  if (status >= 400) return problemFault({ status, type, headers, json, bytes: body.length });
  if (type !== "application/json") return `a success of the type ${type}`;
  return instantFault(json) ?? listFault(json);
}

function foreignMark(caller: string | null, text: string): string | null {
  const foreign = Object.entries(MARK_OF).filter(([tenant]) => caller !== tenant && caller !== "operator");
  return foreign.find(([, mark]) => text.includes(mark))?.[1] ?? null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function problemFault(refusal: {
  readonly status: number;
  readonly type: string | null;
  readonly headers: Headers;
  readonly json: unknown;
  readonly bytes: number;
}): string | null {
  const { status, type, headers, json, bytes } = refusal;
  if (type !== "application/problem+json") return `a refusal of the type ${type}`;
  const problem = json as Readonly<Record<string, unknown>>;
  const { code, detail } = problem;
  if (typeof code !== "string" || !Object.hasOwn(ERRORS, code)) return `a refusal with the code ${String(code)}`;
  const known = ERRORS[code as keyof typeof ERRORS];
  if (known.status !== status || problem["status"] !== status) return `${code} with the status ${status}`;
  if (problem["title"] !== known.title) return `${code} with another title`;
  if (typeof detail !== "string" || !/\w.*[.?!]$/su.test(detail))
    return `a detail that is no sentence: ${String(detail)}`;
  if (bytes > PROBLEM_BYTES_MAX) return `a refusal of ${bytes} bytes`;
  const retryAfter = headers.get("retry-after");
  if (status === 429 && !/^[1-9]\d*$/.test(retryAfter ?? "")) return `429 with Retry-After ${retryAfter}`;
  return null;
}

/** A time is null or one that can be written and read again. `data` is the publisher's own. */
function instantFault(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return null;
  for (const [name, member] of Object.entries(value)) {
    if (name === "data" && !Array.isArray(member)) continue;
    const isOdd = instantNames.test(name) && typeof member === "string" && !rfc3339.test(member);
    const fault = isOdd ? `the time ${name} is ${member}` : instantFault(member);
    if (fault !== null) return fault;
  }
  return null;
}

function listFault(json: unknown): string | null {
  if (typeof json !== "object" || json === null || !("next_cursor" in json) || !("data" in json)) return null;
  const { data, next_cursor: next } = json;
  if (!Array.isArray(data) || data.length > 100) return "a list of more than 100 or of none";
  return next === null || (typeof next === "string" && next.length <= 640) ? null : "next_cursor is no text of ours";
}
