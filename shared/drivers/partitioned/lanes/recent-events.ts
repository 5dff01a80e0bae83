/**
 * Events that a lane keeps or has done lately. A log takes what it is given: an append that is repeated because its
 * answer was lost leaves the event in it twice, moments apart. The second copy is left out here, so that it is neither
 * delivered again nor handed out as if nobody had worked on it. What is older than `DONE_EVENTS_MAX` or `DONE_MS`, or
 * was done by another process, is not recognised: the event goes out again, with the same id.
 */
import type { Envelope } from "../../../domain/envelope.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { RecentSet } from "../../../lib/recent-set.ts";

/** Done events remembered at least; up to twice as many are. About 5 MB for each lane at most. */
export const DONE_EVENTS_MAX = 20_000;

/** Done events are remembered for less than twice as long: never longer than an id is taken, which may be used again. */
export const DONE_MS = 12 * 3600 * 1000;

export interface RecentEvents {
  /** False when the event is kept or done already. */
  enter(envelope: Envelope): boolean;
  /** It is done for good. */
  done(envelope: Envelope): void;
  /** It is not ours any more; another may do it, or we again. */
  forget(envelope: Envelope): void;
}

export function createRecentEvents(clock: Pick<Clock, "monotonic">): RecentEvents {
  /** As many as the windows of the lane hold. */
  const kept = new Set<string>();
  const done = new RecentSet<string>({ countMax: DONE_EVENTS_MAX, age: { ms: DONE_MS, clock } });
  return {
    enter(envelope) {
      const key = keyOf(envelope);
      if (kept.has(key) || done.has(key)) return false;
      kept.add(key);
      return true;
    },
    done(envelope) {
      const key = keyOf(envelope);
      kept.delete(key);
      done.add(key);
    },
    forget: (envelope) => void kept.delete(keyOf(envelope)),
  };
}

/**
 * A line feed is in none of the three. The time tells an event from one that failed before under the same id, and may be
 * in the log all the same.
 */
export function keyOf(envelope: Envelope): string {
  return `${envelope.tenant}\n${envelope.id}\n${envelope.acceptedAtMs}`;
}
