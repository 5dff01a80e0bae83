/**
 * Look-ups of host names for all tenants. One look-up of a name is under way at a time, and few of one tenant, so that a
 * tenant whose zones never answer waits for itself. Answers and failures are kept for a short while.
 *
 * An answer that was true a while ago is used on when no name server answers (RFC 8767): an outage of ours, or zones
 * beside it that take the tenant's turns, then cost an endpoint that is well one second and nothing else.
 */
import type { Clock } from "../../lib/ambient.ts";
import { Lru } from "../../lib/lru.ts";
import { onAbort } from "../../lib/on-abort.ts";
import { SingleFlight } from "../../lib/single-flight.ts";
import { FairTurns } from "./fair-turns.ts";
import type { AddressResolver, Resolution } from "./resolver.ts";

/** For one look-up, and for one that waits for it, its turn included. */
export const LOOK_UP_MS_MAX = 5000;
/** So long a newer answer is waited for where an older one is at hand. */
export const STALE_WAIT_MS = 1000;
/** Names that are kept, with an answer or a failure; the longest unused leaves first. */
export const NAMES_KEPT_MAX = 4096;
/** Of one name; more are neither vetted nor dialled. */
export const ADDRESSES_KEPT_MAX = 64;
/** An answer is taken for fresh as long as its TTL says, within these bounds. */
export const FOUND_MS_MIN = 1000;
export const FOUND_MS_MAX = 30_000;
/** "No such name" is believed so long. */
export const NONE_MS = 5000;
/** After a look-up without an answer the next one of this name begins no earlier. RFC 2308 section 7 allows 5 minutes. */
export const UNANSWERED_MS = 30_000;
/** How long after it was given an answer may still stand in for one that does not come. */
export const STALE_MS_MAX = 600_000;

export interface LookUpsDeps {
  readonly clock: Clock;
  readonly resolve: AddressResolver;
  /** Ends every look-up that is under way. */
  readonly closing: AbortSignal;
  /** Told of each question whether memory had a fresh answer. Must not throw. */
  readonly onLookUp: (isKnown: boolean) => void;
}

export interface LookUps {
  /** For the tenant. Rejects only with the signal's reason, at once. */
  find(name: string, tenant: string, signal: AbortSignal): Promise<Resolution>;
  /** Names kept, and look-ups under way. */
  counts(): { readonly kept: number; readonly underWay: number };
}

interface Kept {
  /** What callers get until `untilMs`. */
  readonly resolution: Resolution;
  readonly untilMs: number;
  /** The last answer with addresses, while it may still be used. */
  readonly known: { readonly resolution: Resolution; readonly untilMs: number } | null;
  /** The last look-up had no answer. */
  readonly isSuspect: boolean;
}

export function createLookUps({ clock, resolve, closing, onLookUp }: LookUpsDeps): LookUps {
  const kept = new Lru<string, Kept>({ countMax: NAMES_KEPT_MAX, age: { ms: STALE_MS_MAX, clock } });
  const turns = new FairTurns();
  const flights = new SingleFlight(lookUp);

  async function lookUp(name: string): Promise<Resolution> {
    using deadline = clock.deadline(LOOK_UP_MS_MAX, closing);
    const resolution = await untilAborted(resolve(name, deadline.signal), deadline.signal).catch(() =>
      noAnswerInTime(name),
    );
    return closing.aborted ? resolution : keep(name, resolution);
  }

  /** Gives what callers are to get from now on. */
  function keep(name: string, resolution: Resolution): Resolution {
    const nowMs = clock.monotonic();
    const before = kept.peek(name)?.known ?? null;
    const known = before !== null && nowMs < before.untilMs ? before : null;
    const entry = entryOf(resolution, known, nowMs);
    kept.set(name, entry);
    return entry.resolution;
  }

  function fresh(name: string): Resolution | null {
    const entry = kept.get(name);
    return entry !== undefined && clock.monotonic() < entry.untilMs ? entry.resolution : null;
  }

  /** Joins the look-up under way; else waits for a turn of the tenant and begins one. */
  async function ask(name: string, tenant: string, isSuspect: boolean, signal: AbortSignal): Promise<Resolution> {
    const underWay = flights.peek(name);
    if (underWay !== undefined) return untilAborted(underWay, signal);
    const endTurn = await turns.take(tenant, isSuspect, signal);
    const meanwhile = fresh(name);
    if (meanwhile !== null) {
      endTurn();
      return meanwhile;
    }
    const flight = flights.share(name);
    void flight.then(endTurn, endTurn);
    return untilAborted(flight, signal);
  }

  return {
    async find(name, tenant, signal) {
      const answer = fresh(name);
      onLookUp(answer !== null);
      if (answer !== null) return answer;
      const entry = kept.peek(name);
      const known = entry?.known ?? null;
      const stale = known !== null && clock.monotonic() < known.untilMs ? known.resolution : null;
      using deadline = clock.deadline(stale === null ? LOOK_UP_MS_MAX : STALE_WAIT_MS, signal);
      try {
        return await ask(name, tenant, entry?.isSuspect ?? false, deadline.signal);
      } catch {
        signal.throwIfAborted();
        // While this one waited for its turn, another tenant may have had the answer.
        return fresh(name) ?? stale ?? noAnswerInTime(name);
      }
    },
    counts: () => ({ kept: kept.size, underWay: flights.count }),
  };
}

function entryOf(resolution: Resolution, known: Kept["known"], nowMs: number): Kept {
  switch (resolution.kind) {
    case "found": {
      const answer = { ...resolution, addresses: resolution.addresses.slice(0, ADDRESSES_KEPT_MAX) };
      const freshMs = Math.min(Math.max(answer.ttlMs, FOUND_MS_MIN), FOUND_MS_MAX);
      const stillKnown = { resolution: answer, untilMs: nowMs + STALE_MS_MAX };
      return { resolution: answer, untilMs: nowMs + freshMs, known: stillKnown, isSuspect: false };
    }
    case "none":
      // The name is gone: what it stood for is not its receiver any more.
      return { resolution, untilMs: nowMs + NONE_MS, known: null, isSuspect: false };
    case "unanswered":
      return { resolution: known?.resolution ?? resolution, untilMs: nowMs + UNANSWERED_MS, known, isSuspect: true };
  }
}

function noAnswerInTime(name: string): Resolution {
  return { kind: "unanswered", reason: `no name server answered for ${name} within ${LOOK_UP_MS_MAX} ms` };
}

/** The promise's end or the signal's abort, whichever is first. */
function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      promise.catch(() => undefined);
      reject(signal.reason);
      return;
    }
    const cancel = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(cancel);
  });
}
