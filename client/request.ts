/** One call of the API: it is sent, and sent again while that may help, within bounds of tries and time. */
import { NoAnswerError, ProblemError, problemIn } from "./problem.ts";
import type { Trials } from "./problem.ts";
import { mayPass, retryAfterS, waitMs } from "./retry.ts";
import type { Outcome } from "./retry.ts";
import type { Clock, Surroundings } from "./surroundings.ts";

/** Where and how all calls of one client are made. */
export interface Connection extends Surroundings {
  /** Without a slash at its end. */
  readonly url: string;
  readonly apiKey: string;
  /** Named in each call's query; null leaves it out. */
  readonly tenant: string | null;
  readonly triesMax: number;
  /** Of one try, its answer's body included. */
  readonly tryMs: number;
  /** Of all tries and the waits between them. */
  readonly totalMs: number;
}

export type QueryValue = string | number | Date | readonly string[] | null | undefined;

export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path segments below /v1; ids among them are checked. */
  readonly path: readonly string[];
  readonly query?: object | undefined;
  readonly body?: unknown;
  /** JSON that is sent as it stands, in the place of `body`. */
  readonly bodyText?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  /** Twice is the same as once. */
  readonly isRepeatable: boolean;
  /** False for what the API would not answer; without it every 2xx is an answer. */
  readonly isAnswer?: (body: unknown) => boolean;
  /** Says of a good answer that a part of the work failed and may pass; tried again, and given back when nothing is left. */
  readonly isIncomplete?: (body: unknown) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** Instead of the client's; null: none is named. */
  readonly tenant?: string | null | undefined;
}

/** The body of a good answer, undefined when it has none. */
export interface Answer {
  readonly body: unknown;
  /** As it came: parsing rounds large numbers. */
  readonly text: string;
  /** It is the answer to an earlier request under the same key. */
  readonly isReplayed: boolean;
}

/** More than any answer of the API, which looks at 4 MiB of bodies in a call. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
/** Ids of the API and of callers, and types of events; anything else could lead to another path. */
const SEGMENT = /^(?=.{1,128}$)[\w-]+(?:\.[\w-]+)*$/;
const IDEMPOTENCY_KEY = /^[!-~]{1,255}$/;

/**
 * Rejects with `ProblemError`, `NoAnswerError`, the signal's reason, or a `TypeError` for what could not be sent. A call that is tried again
 * sends the same bytes under the same key.
 */
export async function request(connection: Connection, call: Call): Promise<Answer> {
  const { clock, triesMax, totalMs, tryMs, random } = connection;
  const { signal, isRepeatable, isAnswer = () => true, isIncomplete = () => false, idempotencyKey = null } = call;
  const url = urlOf(connection, call);
  const init = initOf(connection, call);
  const endMs = clock.monotonic() + totalMs;
  let mayBeDone = false;
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    const budgetMs = Math.min(tryMs, endMs - clock.monotonic());
    const { isReplayed, text, ...outcome } = await tryOnce(connection, { url, init, budgetMs, signal });
    signal?.throwIfAborted();
    const isGood = outcome.kind === "answered" && isSuccess(outcome.status) && isAnswer(outcome.body);
    const isWanted = isGood && !isIncomplete(outcome.body);
    const pauseMs = waitMs(outcome, tries, random);
    const isLast = tries >= triesMax || clock.monotonic() + pauseMs >= endMs;
    if (isWanted || (isGood && isLast)) return { body: outcome.body, text, isReplayed };
    // An earlier try without an answer may have been the one that removed it.
    const isGone = outcome.kind === "answered" && outcome.status === 404 && call.method === "DELETE" && mayBeDone;
    if (isGone) return { body: undefined, text, isReplayed };
    if (isLast || !(isGood || mayPass(outcome, isRepeatable))) throw errorOf(outcome, { tries, idempotencyKey });
    mayBeDone ||= outcome.kind === "failed" || outcome.status >= 500;
    await pause(clock, pauseMs, signal);
  }
}

export function urlOf({ url, tenant }: Connection, call: Call): string {
  for (const segment of call.path) {
    if (!SEGMENT.test(segment))
      throw new TypeError(
        `${JSON.stringify(segment)} is no id: letters, digits, _ and -, and dots between them, make one`,
      );
  }
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({
    ...call.query,
    tenant: call.tenant === undefined ? tenant : call.tenant,
  }) as [string, QueryValue][]) {
    if (value === undefined || value === null) continue;
    query.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  const text = query.toString();
  return `${url}/v1/${call.path.join("/")}${text === "" ? "" : `?${text}`}`;
}

export function initOf({ apiKey }: Connection, call: Call): RequestInit {
  const { method, idempotencyKey, traceparent, tracestate } = call;
  const body = call.bodyText ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  if (idempotencyKey !== undefined && !IDEMPOTENCY_KEY.test(idempotencyKey)) {
    throw new TypeError("an idempotency key has 1 to 255 visible ASCII characters");
  }
  return {
    method,
    // The key of the API goes to nobody else, wherever an answer leads.
    redirect: "manual",
    headers: {
      authorization: `Bearer ${apiKey}`,
      accept: "application/json",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(idempotencyKey === undefined
        ? {}
        : { "idempotency-key": `"${idempotencyKey.replaceAll(/["\\]/g, "\\$&")}"` }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(tracestate === undefined ? {} : { tracestate }),
    },
    ...(body === undefined ? {} : { body }),
  };
}

interface Try {
  readonly url: string;
  readonly init: RequestInit;
  readonly budgetMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Never rejects. What is not JSON is no answer when its status is good, and an answer without a body otherwise. */
async function tryOnce(
  { fetch, clock }: Connection,
  { url, init, budgetMs, signal }: Try,
): Promise<Outcome & { readonly text: string; readonly isReplayed: boolean }> {
  const ending = new AbortController();
  const abort = (): void => ending.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const stopTimer = clock.timer(budgetMs, () =>
    ending.abort(new Error(`no whole answer within ${Math.round(budgetMs)} ms`)),
  );
  try {
    const response = await untilAborted(fetch(url, { ...init, signal: ending.signal }), ending.signal);
    const text = await untilAborted(textOf(response), ending.signal);
    const { status, headers } = response;
    return {
      kind: "answered",
      status,
      retryAfterS: retryAfterS(headers.get("retry-after"), clock.now()),
      body: isSuccess(status) ? parsed(text) : parsedOrNone(text),
      text,
      isReplayed: headers.get("idempotent-replayed") === "true",
    };
  } catch (cause) {
    return { kind: "failed", cause, text: "", isReplayed: false };
  } finally {
    // What is still arriving of a try that was given up is let go.
    ending.abort();
    stopTimer();
    signal?.removeEventListener("abort", abort);
  }
}

/** Also for a `fetch` that does not look at its signal. */
export async function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(reasonOf(signal));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

export async function textOf({ body }: Response): Promise<string> {
  if (body === null) return "";
  const pieces: AsyncIterable<Uint8Array> = body;
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function parsed(text: string): unknown {
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}

export function parsedOrNone(text: string): unknown {
  try {
    return parsed(text);
  } catch {
    return undefined;
  }
}

function errorOf(outcome: Outcome, trials: Trials): Error {
  if (outcome.kind === "failed") return new NoAnswerError(outcome.cause, trials);
  return new ProblemError(problemIn(outcome.body, outcome.status), outcome.retryAfterS, trials);
}

/** Rejects with the signal's reason as soon as it aborts. */
function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      stopTimer();
      reject(reasonOf(signal));
    };
    const stopTimer = clock.timer(ms, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error("the call was aborted", { cause: reason });
}
