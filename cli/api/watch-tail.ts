/**
 * The live tail over any number of connections: one that breaks, or that the gateway ends, is followed by the next, after a wait that grows.
 * Each loss and each return is an entry of its own, so that whoever reads can tell and catch up.
 */
import type { Client, TailEntry, TailFilter } from "@posthaste/client/public.ts";
import { NoAnswerError, ProblemError } from "@posthaste/client/public.ts";
import type { Clock } from "@posthaste/client/public.ts";
import { pause } from "./pause.ts";

export type Watched =
  | Exclude<TailEntry, { readonly event: "end" }>
  /** The connection is gone, and is asked for again. */
  | { readonly event: "session-lost"; readonly why: string }
  /** It is there again, after so long; what happened meanwhile was not shown. */
  | { readonly event: "session-back"; readonly afterMs: number; readonly at: string | null };

const FIRST_WAIT_MS = 250;
const WAIT_MS_MAX = 10_000;

/** The first connection must come about: what it meets is thrown. Afterwards only a refusal of the key ends it, by throwing. */
export async function* watchTail(
  client: Client,
  filter: TailFilter,
  { clock, random, signal }: { readonly clock: Clock; readonly random: () => number; readonly signal: AbortSignal },
): AsyncGenerator<Watched, void, undefined> {
  let hasBegun = false;
  let lostAtMs: number | null = null;
  let tries = 0;
  while (!signal.aborted) {
    try {
      for await (const entry of client.tail(filter, { signal })) {
        if (entry.event === "watching") {
          const before = lostAtMs;
          [hasBegun, lostAtMs, tries] = [true, null, 0];
          if (before === null) yield entry;
          else yield { event: "session-back", afterMs: Math.round(clock.monotonic() - before), at: entry.data.at };
        } else if (entry.event === "end") {
          lostAtMs = clock.monotonic();
          yield { event: "session-lost", why: entry.data.detail };
        } else yield entry;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!hasBegun || !mayComeBack(error)) throw error;
      if (lostAtMs === null) {
        lostAtMs = clock.monotonic();
        yield { event: "session-lost", why: reasonOf(error) };
      }
    }
    tries += 1;
    const whole = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), WAIT_MS_MAX);
    await pause(clock, whole / 2 + (whole / 2) * random(), signal);
  }
}

/** A restart passes by; a key that is no longer good does not. */
function mayComeBack(error: unknown): boolean {
  if (error instanceof NoAnswerError) return true;
  return error instanceof ProblemError && (error.status === 429 || error.status >= 500);
}

function reasonOf(error: unknown): string {
  const cause = error instanceof NoAnswerError && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
