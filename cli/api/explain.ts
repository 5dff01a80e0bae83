/** What went wrong with a call, as sentences: what, where, and what to do about it. */
import { NoAnswerError, ProblemError } from "@posthaste/client/public.ts";
import type { FieldProblem } from "@posthaste/client/public.ts";
import { printable } from "../screen/printable.ts";

export interface Place {
  readonly url: string;
  /** Where the key came from, for the reader who is told that it is not good. */
  readonly keySource: string;
}

/** One line each; null for what is no failure of a call. */
export function explain(error: unknown, place: Place): readonly string[] | null {
  if (error instanceof ProblemError) return problemLines(error, place).map(printable);
  if (error instanceof NoAnswerError) return noAnswerLines(error, place).map(printable);
  return null;
}

/** One line about an event of a batch, or about one of several calls. */
export function inShort(problem: { readonly detail: string; readonly errors?: readonly FieldProblem[] }): string {
  const [first] = problem.errors ?? [];
  if (first === undefined) return printable(problem.detail);
  const { pointer } = first;
  // Which event of the batch it was, its line says.
  return printable(
    fieldText(pointer === undefined ? first : { ...first, pointer: pointer.replace(/^#\/events\/\d+/, "#") }),
  );
}

function problemLines(problem: ProblemError, place: Place): readonly string[] {
  const { status, code, detail, errors, retryAfterS, traceId, tries } = problem;
  const isSaidByFields = errors.length > 0 && errors.every((field) => detail.includes(field.detail));
  return [
    ...(isSaidByFields ? [] : [detail]),
    ...errors.map(fieldText),
    ...remedyOf(problem, place),
    ...(retryAfterS === null ? [] : [`It may be tried again in ${retryAfterS} s; ${triesText(tries)}.`]),
    `(${status} ${code} from ${place.url}${traceId === null ? "" : `, trace ${traceId}`})`,
  ];
}

/** `#/retry/delays_s` is `retry.delays_s` to a reader. */
function fieldText({ pointer, header, parameter, detail }: FieldProblem): string {
  const path = pointer?.replace(/^#\//, "").replaceAll("/", ".");
  const name = path ?? (header === undefined ? parameter : `the header ${header}`);
  return name === undefined || name === "" ? `The body ${detail}.` : `${name} ${detail}.`;
}

function triesText(tries: number): string {
  return tries === 1 ? "it was sent once" : `it was sent ${tries} times`;
}

function remedyOf({ code, status }: ProblemError, { url, keySource }: Place): readonly string[] {
  switch (code) {
    case "unauthenticated":
      return [
        `The key of ${keySource} is none of this gateway's: ask its operator for one, or see that --url names the right gateway.`,
      ];
    case "key-revoked":
    case "key-expired":
      return [`Put another key in the place of that of ${keySource}.`];
    case "missing-scope":
      return ["Use a key that has this scope: posthaste keys list shows which has."];
    case "wrong-tenant":
      return ["A tenant's key acts for its own tenant alone: leave --tenant out, or use an operator key."];
    case "forbidden-address":
      return ["The operator allows private networks by POSTHASTE_ALLOW_CIDRS at the gateway and its processors."];
    case "rate-limited":
      return ["The key has used up its rate limit."];
    case "unexpected-answer":
      return [`See that --url or POSTHASTE_URL names a gateway: ${url} answered ${status}.`];
    default:
      return [];
  }
}

const NOBODY = new Set(["ECONNREFUSED", "ConnectionRefused"]);
const NO_NAME = new Set(["ENOTFOUND", "EAI_AGAIN", "DNSException", "FailedToOpenSocket"]);

function noAnswerLines(error: NoAnswerError, { url }: Place): readonly string[] {
  const code = codeOf(error.cause);
  if (NOBODY.has(code)) {
    return [
      `Nothing listens at ${url}.`,
      "Start it there (posthaste dev, posthaste serve), or name another gateway with --url or POSTHASTE_URL.",
    ];
  }
  if (NO_NAME.has(code)) return [`The name of ${url} leads nowhere. Mend --url or POSTHASTE_URL.`];
  return [
    `No answer came from ${url}: ${error.message}.`,
    ...(error.idempotencyKey === null
      ? []
      : [
          `Nobody knows whether it was done. With --idempotency-key ${error.idempotencyKey} the same call goes on where it was.`,
        ]),
  ];
}

/** Runtimes hide it one or two causes deep. */
function codeOf(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < 4 && cause instanceof Error; depth++) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
    ({ cause } = cause);
  }
  return "";
}
