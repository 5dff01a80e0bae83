/** What a call rejects with: a problem that the API answered (RFC 9457), or that no answer came. */

/** One thing wrong at one place: a JSON pointer into the body (`#/type`), a header or a query parameter. */
export interface FieldProblem {
  readonly detail: string;
  readonly pointer?: string;
  readonly header?: string;
  readonly parameter?: string;
}

/** As docs/errors.md has it; `code` is what programs look at. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly FieldProblem[];
  readonly trace_id?: string;
}

/** How a call went until it was given up. */
export interface Trials {
  /** Requests that were sent, the last one included. */
  readonly tries: number;
  /** The key that each of them carried, null for calls without one: the same call may go on under it. */
  readonly idempotencyKey: string | null;
}

/** The API refused the call, or was still refusing it when tries or time were used up. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;
  /** Of the table in docs/errors.md; `unexpected-answer` for what no Posthaste says, such as a proxy's page. */
  readonly code: string;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  /** The places that are wrong, at most 20; none for problems without places. */
  readonly errors: readonly FieldProblem[];
  /** Finds the request in Posthaste's log and traces. */
  readonly traceId: string | null;
  /** What `Retry-After` asked for, in seconds from the answer on. */
  readonly retryAfterS: number | null;
  readonly tries: number;
  readonly idempotencyKey: string | null;

  constructor(problem: Problem, retryAfterS: number | null, { tries, idempotencyKey }: Trials) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`);
    this.status = problem.status;
    this.code = problem.code;
    this.type = problem.type;
    this.title = problem.title;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
    this.traceId = problem.trace_id ?? null;
    this.retryAfterS = retryAfterS;
    this.tries = tries;
    this.idempotencyKey = idempotencyKey;
  }
}

/** No whole answer came, so that nobody knows what became of the call. `cause` is what the last try ended with. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
  readonly tries: number;
  readonly idempotencyKey: string | null;

  constructor(cause: unknown, { tries, idempotencyKey }: Trials) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`no answer after ${tries === 1 ? "one try" : `${tries} tries`}: ${reason}`, { cause });
    this.tries = tries;
    this.idempotencyKey = idempotencyKey;
  }
}

/** The problem in a body, or one that says what came instead. */
export function problemIn(body: unknown, status: number): Problem {
  if (isProblem(body)) return body;
  const detail = `The answer has the status ${status} and is no problem of Posthaste; something between may have made it.`;
  return { type: "about:blank", title: "Unexpected answer", status, detail, code: "unexpected-answer" };
}

function isProblem(body: unknown): body is Problem {
  if (typeof body !== "object" || body === null) return false;
  const { code, detail, status } = body as Partial<Problem>;
  return typeof code === "string" && typeof detail === "string" && typeof status === "number";
}
