/** The servers behind the endpoints of a simulated world, each with its own seeded ways to misbehave. */
import type { Chance } from "./chance.ts";

export const FAULT_KINDS = [
  "slow",
  "lost-before",
  "lost-after",
  "error",
  "throttle",
  "gone",
  "redirect",
  "hang",
  "reset-before",
  "reset-after",
  "refused",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What becomes of one request: `answer` goes all the way, every other kind ends somewhere before. */
export interface Reaction {
  readonly kind: "answer" | "lost-before" | "lost-after" | "hang" | "reset-before" | "reset-after" | "refused";
  /** From the sender to the receiver, and from there back. */
  readonly outMs: number;
  readonly backMs: number;
  readonly status: number;
  readonly retryAfter: string | null;
}

export interface Receiver {
  readonly host: string;
  /** Answers 2xx at once, always. */
  readonly isHealthy: boolean;
  react(nowMs: number): Reaction;
  describe(): string;
}

interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
  readonly kind: FaultKind;
}

/** The longest round trip of a receiver that is well. */
export const ROUND_TRIP_MS_MAX = 60;

export function createReceiver(options: {
  readonly host: string;
  readonly chance: Chance;
  readonly kinds: readonly FaultKind[];
  readonly isHealthy: boolean;
  /** In ms from the start. */
  readonly outage: { readonly fromMs: number; readonly toMs: number } | null;
  readonly startMs: number;
  readonly stormMs: number;
  readonly isCalm: () => boolean;
}): Receiver {
  const { host, chance, kinds, isHealthy, outage: planned, startMs, stormMs } = options;
  const faultRate = isHealthy || kinds.length === 0 ? 0 : chance.pick([0, 0.05, 0.2, 0.5]);
  const outages: Outage[] = [];
  if (planned !== null) outages.push({ fromMs: startMs + planned.fromMs, toMs: startMs + planned.toMs, kind: "error" });
  const outageCount = isHealthy || kinds.length === 0 ? 0 : chance.whole(0, 3);
  for (let index = 0; index < outageCount; index++) {
    const fromMs = startMs + chance.whole(0, stormMs);
    outages.push({ fromMs, toMs: fromMs + chance.magnitude(100, stormMs), kind: chance.pick(kinds) });
  }
  return {
    host,
    isHealthy,
    react(nowMs) {
      const outage = outages.find(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs);
      if (options.isCalm()) return normal(chance);
      if (outage !== undefined) return faulty(chance, outage.kind, nowMs);
      return chance.isTrue(faultRate) ? faulty(chance, chance.pick(kinds), nowMs) : normal(chance);
    },
    describe: () =>
      `${host} faults ${faultRate} outages ${outages.map(({ fromMs, toMs, kind }) => `${kind} ${fromMs - startMs}-${toMs - startMs}`).join(", ")}`,
  };
}

function normal(chance: Chance): Reaction {
  const half = ROUND_TRIP_MS_MAX / 2;
  const status = chance.pick([200, 200, 200, 202, 204]);
  return { kind: "answer", outMs: chance.whole(0, half), backMs: chance.whole(0, half), status, retryAfter: null };
}

function faulty(chance: Chance, kind: FaultKind, nowMs: number): Reaction {
  const usual = normal(chance);
  switch (kind) {
    case "slow":
      return { ...usual, backMs: chance.magnitude(100, 20_000) };
    case "error":
      return { ...usual, status: chance.pick([400, 404, 500, 500, 502, 504]) };
    case "throttle":
      return { ...usual, status: chance.pick([429, 503]), retryAfter: retryAfter(chance, nowMs) };
    case "gone":
      return { ...usual, status: 410 };
    case "redirect":
      return { ...usual, status: chance.pick([301, 302, 307, 308]) };
    default:
      return { ...usual, kind };
  }
}

/** RFC 9110 section 10.2.3: seconds, a date, or what no one can read. */
function retryAfter(chance: Chance, nowMs: number): string | null {
  const seconds = chance.magnitude(1, 120);
  const date = new Date(nowMs + seconds * 1000).toUTCString();
  return chance.pick([String(seconds), String(seconds), date, "soon", null]);
}
