/** The live tail: one connection that is read as server-sent events (WHATWG HTML, "Interpreting an event stream"). */
import { NoAnswerError, ProblemError, problemIn } from "./problem.ts";
import type { Connection } from "./request.ts";
import { initOf, parsedOrNone, textOf, untilAborted, urlOf } from "./request.ts";
import { retryAfterS } from "./retry.ts";
import type { CallOptions } from "./shapes.ts";
import type { TailEntry, TailFilter } from "./tail-shapes.ts";

/** A comment comes every 15 s; three that are missing mean a connection that nobody ended. */
const SILENCE_MS_MAX = 45_000;
/** Far more than one frame of the gateway's. */
const FRAME_LENGTH_MAX = 1024 * 1024;
const ONE_TRY = { tries: 1, idempotencyKey: null };

/**
 * What happens from now on; the first entry is `watching`. Ends after the entry `end`. Rejects with `ProblemError` when it is refused, `NoAnswerError`
 * when the connection breaks or is silent, or the signal's reason. It is not tried again: who wants to go on calls it again.
 */
export async function* tail(
  connection: Connection,
  filter: TailFilter = {},
  options: CallOptions = {},
): AsyncGenerator<TailEntry, void, undefined> {
  const { clock, fetch, tryMs } = connection;
  const { signal } = options;
  const call = { ...options, method: "GET", path: ["tail"], query: filter, isRepeatable: true } as const;
  const url = urlOf(connection, call);
  const ending = new AbortController();
  const abort = (): void => ending.abort(signal?.reason);
  const endAfter = (ms: number) => clock.timer(ms, () => ending.abort(new Error(`nothing came for ${ms} ms`)));
  signal?.throwIfAborted();
  signal?.addEventListener("abort", abort, { once: true });
  let stopTimer = endAfter(tryMs);
  let letGo = (): Promise<void> => Promise.resolve();
  try {
    const init = { ...initOf(connection, call), signal: ending.signal };
    const response = await untilAborted(fetch(url, init), ending.signal);
    const { status, body, headers } = response;
    if (status !== 200 || body === null) {
      const problem = problemIn(parsedOrNone(await untilAborted(textOf(response), ending.signal)), status);
      throw new ProblemError(problem, retryAfterS(headers.get("retry-after"), clock.now()), ONE_TRY);
    }
    stopTimer();
    const reader = body.getReader();
    letGo = () => reader.cancel();
    const atMs = Date.parse(headers.get("date") ?? "");
    yield { event: "watching", data: { at: Number.isNaN(atMs) ? null : new Date(atMs).toISOString() } };
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      stopTimer = endAfter(SILENCE_MS_MAX);
      const { value, done } = await untilAborted(reader.read(), ending.signal);
      // While the caller works on what came, the gateway is not to blame for silence.
      stopTimer();
      if (done) throw new Error("the connection ended");
      text += decoder.decode(value, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      if (text.length > FRAME_LENGTH_MAX) throw new Error("the answer is no event stream of Posthaste");
      for (const frame of frames) {
        const entry = entryIn(frame);
        if (entry === null) continue;
        yield entry;
        if (entry.event === "end") return;
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof ProblemError ? error : new NoAnswerError(error, ONE_TRY);
  } finally {
    // Also when the caller leaves the loop: the connection goes with it.
    ending.abort();
    letGo().catch(() => undefined);
    stopTimer();
    signal?.removeEventListener("abort", abort);
  }
}

const KNOWN: ReadonlySet<string> = new Set(["accepted", "attempt", "delivery", "lost", "end"]);

/** Null for comments, and for events of a later release. */
function entryIn(frame: string): TailEntry | null {
  const fieldOf = (name: string): string | undefined =>
    frame
      .split("\n")
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const event = fieldOf("event");
  const data = fieldOf("data");
  if (event === undefined || data === undefined || !KNOWN.has(event)) return null;
  return { event, data: JSON.parse(data) as unknown } as TailEntry;
}
