/**
 * Calls that wait for Redis: each has its time to run, and some are given up sooner, once nothing has come back to any of
 * them for a while. As long as answers come, a long queue is no silence. One timer for all.
 */
import type { Cancel, Clock } from "../../../lib/ambient.ts";
import { LAST_WAY_SILENCE_MS, STALL_MS } from "./redis-commands.ts";

/** A timer that rings so late says that this process stood still, and nothing of Redis. */
const LATE_MS = 250;
/** What a call may name, in order. */
const SILENCES_MS = [STALL_MS, LAST_WAY_SILENCE_MS];

export interface Wait {
  /** It had its time. Called once at most, and never after its end. */
  expire(): void;
  /** Nothing came back for `silenceMsMax`; it goes on all the same, unobserved. Called once at most. */
  giveUp(): void;
  /** One of `SILENCES_MS`, or Infinity. */
  readonly silenceMsMax: number;
}

export interface Waits {
  /** The returned function ends the wait; `isAnswer` when the server said something. */
  add(wait: Wait): (isAnswer: boolean) => void;
  count(): number;
  /** Something waits, and it was found that nothing came back for so long. */
  isSilentFor(ms: number): boolean;
  /** There is a connection anew: what was silent before says nothing of it. */
  restart(): void;
  expireAll(): void;
}

interface Entry {
  readonly wait: Wait;
  readonly sinceMs: number;
  isGivenUp: boolean;
}

/** Each wait has `afterMs` to run, so the first that came is the first due. */
export function createWaits(clock: Pick<Clock, "monotonic" | "soon" | "timer">, afterMs: number): Waits {
  const entries = new Set<Entry>();
  /** The last answer; or when waiting began to count anew. */
  let heardAtMs = -Infinity;
  /** As found at the last look; 0 once something came back. It outlasts the calls: the next one need not find it out again. */
  let silentMs = 0;
  let silentSinceMs = 0;
  let timer: Cancel | null = null;

  const hear = (): void => {
    heardAtMs = clock.monotonic();
    silentMs = 0;
  };

  const quietSinceMs = (oldest: Entry): number => Math.max(heardAtMs, silentMs > 0 ? silentSinceMs : oldest.sinceMs);

  function arm(): void {
    timer = null;
    const [oldest] = entries;
    if (oldest === undefined) return;
    // One that comes after a silence was found is given up at once, too, and still shows when it ends.
    const isNewcomer = !oldest.isGivenUp && oldest.wait.silenceMsMax <= silentMs;
    const nextSilenceMs = isNewcomer ? 0 : (SILENCES_MS.find((ms) => ms > silentMs) ?? Infinity);
    const dueAtMs = Math.min(oldest.sinceMs + afterMs, quietSinceMs(oldest) + nextSilenceMs);
    const inMs = Math.max(1, dueAtMs - clock.monotonic());
    const ringsAtMs = clock.monotonic() + inMs;
    timer = clock.timer(inMs, () => ring(clock.monotonic() - ringsAtMs > LATE_MS));
  }

  function ring(isLate: boolean): void {
    timer = null;
    const nowMs = clock.monotonic();
    for (const entry of entries) {
      if (entry.sinceMs + afterMs > nowMs) break;
      entries.delete(entry);
      entry.wait.expire();
    }
    if (isLate) hear();
    // Answers that lie there are read first.
    clock.soon(() => {
      look();
      if (timer === null) arm();
    });
  }

  function look(): void {
    const [oldest] = entries;
    if (oldest === undefined) return;
    silentSinceMs = quietSinceMs(oldest);
    const quietMs = clock.monotonic() - silentSinceMs;
    silentMs = SILENCES_MS.findLast((ms) => ms <= quietMs) ?? 0;
    for (const entry of entries) {
      if (entry.isGivenUp || entry.wait.silenceMsMax > silentMs) continue;
      entry.isGivenUp = true;
      entry.wait.giveUp();
    }
  }

  return {
    add(wait) {
      const entry: Entry = { wait, sinceMs: clock.monotonic(), isGivenUp: false };
      entries.add(entry);
      if (timer === null) arm();
      return (isAnswer) => {
        entries.delete(entry);
        if (isAnswer) hear();
      };
    },
    count: () => entries.size,
    isSilentFor: (ms) => entries.size > 0 && silentMs >= ms,
    restart: hear,
    expireAll() {
      timer?.();
      timer = null;
      const all = [...entries];
      entries.clear();
      for (const { wait } of all) wait.expire();
    },
  };
}
