/**
 * What will be done to a simulated world, drawn from its seed. Swarm testing (Groce et al., ISSTA 2012): each seed turns
 * each kind of trouble on or off, since one that is always on hides others.
 */
import type { ProcessorLimits } from "@posthaste/processor/limits.ts";
import type { EmbeddedBounds } from "@posthaste/shared/drivers/embedded.ts";
import type { Priority } from "@posthaste/shared/domain/event.ts";
import type { RetryPolicy } from "@posthaste/shared/domain/retry-policy.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import type { Chance } from "./chance.ts";
import type { FaultKind } from "./receivers.ts";
import { FAULT_KINDS } from "./receivers.ts";

export interface EventPlan {
  readonly n: number;
  readonly type: string;
  readonly priority: Priority;
  readonly identity: "key" | "id" | "none";
  readonly deliverAfterMs: number | null;
  readonly pad: number;
}

/** One request of a publisher; more than one event makes it a batch. */
export interface PublishPlan {
  readonly atMs: number;
  readonly tenant: string;
  readonly events: readonly EventPlan[];
}

export interface SlotPlan {
  readonly tenant: string;
  readonly createAtMs: number;
  readonly eventTypes: readonly string[];
  readonly retry: RetryPolicy | null;
  readonly rateLimit: { readonly limit: number; readonly window_ms: number } | null;
  readonly batch: { readonly max_events: number; readonly max_wait_ms: number } | null;
  readonly isPausedAtFirst: boolean;
  readonly isHealthy: boolean;
  /** It answers nothing but errors then. */
  readonly outage: { readonly fromMs: number; readonly toMs: number } | null;
  readonly ops: readonly OwnerPlan[];
}

export type OwnerOp = "pause" | "resume" | "enable" | "rotate" | "delete";

export interface OwnerPlan {
  readonly atMs: number;
  readonly op: OwnerOp;
}

export interface DiskTrouble {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Scenario {
  readonly stormMs: number;
  readonly faultKinds: readonly FaultKind[];
  readonly limits: ProcessorLimits;
  readonly bounds: EmbeddedBounds;
  readonly slots: readonly SlotPlan[];
  readonly publishes: readonly PublishPlan[];
  readonly crashesAtMs: readonly number[];
  readonly stopsAtMs: readonly number[];
  /** Commits from the start of a process to its death there; each process takes the next one. */
  readonly commitDeaths: readonly { readonly afterCommits: number; readonly isAfter: boolean }[];
  /** Which of the commits that note a notice, or that it was sent, is the last of its process; in order. */
  readonly noticeDeaths: readonly boolean[];
  readonly diskTroubles: readonly DiskTrouble[];
  readonly replaysAtMs: readonly number[];
  /** Share of the gateway's answers that never reach the publisher. */
  readonly lostReplyRate: number;
  /** At the end, paused and disabled endpoints are set going again. */
  readonly isHealing: boolean;
  /** No name server answers for the endpoints that are not the healthy one. */
  readonly silences: readonly Silence[];
  readonly clocks: ClockPlan;
  /** Share of the requests whose body comes in two parts, some time apart. */
  readonly slowBodyRate: number;
}

/** How the clocks of processes differ from that of the world, and when one of them is set. */
export interface ClockPlan {
  /** Each process is off by up to so many ms, back or forth. */
  readonly skewMsMax: number;
  readonly steps: readonly { readonly atMs: number; readonly byMs: number }[];
}

export interface Silence {
  readonly fromMs: number;
  readonly toMs: number;
  /** How long a look-up waits: all of its time, or not at all, as the last one is remembered. */
  readonly lookUpMs: number;
}

const TYPES = ["order.paid", "order.sent", "user.created", "ping"] as const;
const SUBSCRIPTIONS = [["*"], ["order.*"], ["order.paid", "ping"], ["user.created"]] as const;
const EVENTS_MAX = 80;

const RETRY_POLICIES: readonly (RetryPolicy | null)[] = [
  { delays_s: [0, 1, 2] },
  { delays_s: [0, 5, 10, 30, 60] },
  { delays_s: [2, 3, 3, 3] },
  { base_s: 1, factor: 2, max_s: 60, attempts: 7 },
  { delays_s: [0] },
  null,
];

export function drawScenario(chance: Chance): Scenario {
  const stormMs = chance.magnitude(2000, 120_000);
  const isSmall = chance.isTrue(0.4);
  const tenants = chance.isTrue(0.3) ? ["acme", "bolt"] : ["acme"];
  const some = (most: number): number => (chance.isTrue(0.5) ? chance.whole(1, most) : 0);
  const times = (count: number): number[] =>
    Array.from({ length: count }, () => chance.whole(0, stormMs)).toSorted((a, b) => a - b);
  const crashCount = some(4);
  return {
    stormMs,
    faultKinds: FAULT_KINDS.filter(() => chance.isTrue(0.4)),
    limits: isSmall ? smallLimits(chance) : PROCESSOR_LIMITS,
    slots: drawSlots(chance, tenants, stormMs, isSmall),
    publishes: drawPublishes(chance, tenants, stormMs),
    crashesAtMs: times(crashCount),
    stopsAtMs: times(some(2)),
    commitDeaths: Array.from({ length: some(4) }, () => ({
      afterCommits: chance.magnitude(2, 200),
      isAfter: chance.isTrue(0.7),
    })),
    diskTroubles: times(chance.isTrue(0.25) ? 1 : 0).map((fromMs) => ({
      fromMs,
      toMs: fromMs + chance.magnitude(10, 8000),
    })),
    noticeDeaths: [],
    replaysAtMs: times(some(3)),
    lostReplyRate: chance.pick([0, 0, 0.1, 0.3]),
    isHealing: chance.isTrue(0.7),
    bounds: drawBounds(chance),
    silences: times(chance.isTrue(0.75) ? 0 : chance.whole(1, 2)).map((fromMs) => ({
      fromMs,
      toMs: fromMs + chance.magnitude(100, 40_000),
      lookUpMs: chance.pick([0, 5000]),
    })),
    // Drawn last, so that the rest of a world is what it was without them.
    clocks: drawClocks(chance, stormMs),
    slowBodyRate: chance.pick([0, 0, 0.3, 0.7]),
  };
}

const STEPS_MS = [60_000, 3_600_000] as const;

function drawClocks(chance: Chance, stormMs: number): ClockPlan {
  if (chance.isTrue(0.7)) return { skewMsMax: 0, steps: [] };
  const stepCount = chance.isTrue(0.6) ? chance.whole(1, 3) : 0;
  return {
    skewMsMax: chance.isTrue(0.5) ? chance.magnitude(10, 1000) : 0,
    steps: Array.from({ length: stepCount }, () => ({
      atMs: chance.whole(0, stormMs),
      byMs: chance.pick([-1, 1]) * chance.pick(STEPS_MS),
    })),
  };
}

/** Sometimes so small that queues are full; the retry queue still takes a whole page of what is brought back (50). */
function drawBounds(chance: Chance): EmbeddedBounds {
  const bytesMax = 2 ** 30;
  return {
    ...(chance.isTrue(0.15) ? { lanes: { itemsMax: chance.whole(15, 60), bytesMax } } : {}),
    ...(chance.isTrue(0.15) ? { retryQueue: { itemsMax: chance.whole(50, 80), bytesMax } } : {}),
  };
}

/** So small that a few events reach every bound; two unwell endpoints still leave room for a third. */
function smallLimits(chance: Chance): ProcessorLimits {
  return {
    ...PROCESSOR_LIMITS,
    windowItems: { high: 16, medium: 12, low: 8, retry: 12 },
    inFlightMax: 12,
    inFlightMediumMax: 9,
    inFlightLowMax: 4,
    inFlightPerEndpointMax: 4,
    capStart: 2,
    backlogMax: chance.pick([3, 100_000]),
    recoveryPerS: chance.pick([2, 100]),
    stopMs: chance.pick([500, 20_000]),
  };
}

function drawSlots(chance: Chance, tenants: readonly string[], stormMs: number, isSmall: boolean): SlotPlan[] {
  const [hasOps, hasBatches, hasRates, hasPaused] = [0.6, 0.4, 0.3, 0.2].map((rate) => chance.isTrue(rate));
  const lighthouse: SlotPlan = {
    tenant: tenants[0] ?? "acme",
    createAtMs: 0,
    eventTypes: ["*"],
    retry: null,
    rateLimit: null,
    batch: null,
    isPausedAtFirst: false,
    isHealthy: true,
    outage: null,
    ops: [],
  };
  const others = Array.from({ length: chance.whole(1, isSmall ? 2 : 4) }, (): SlotPlan => {
    const createAtMs = chance.isTrue(0.7) ? 0 : chance.whole(0, stormMs);
    return {
      tenant: chance.pick(tenants),
      createAtMs,
      eventTypes: chance.pick(SUBSCRIPTIONS),
      retry: chance.pick(RETRY_POLICIES),
      rateLimit:
        hasRates === true && chance.isTrue(0.5)
          ? { limit: chance.whole(1, 4), window_ms: chance.magnitude(50, 3000) }
          : null,
      batch: hasBatches === true ? { max_events: chance.whole(1, 6), max_wait_ms: chance.magnitude(1, 3000) } : null,
      isPausedAtFirst: hasPaused === true && chance.isTrue(0.5),
      isHealthy: false,
      outage: null,
      ops: hasOps === true ? drawOps(chance, createAtMs, stormMs) : [],
    };
  });
  return [lighthouse, ...others];
}

function drawOps(chance: Chance, createAtMs: number, stormMs: number): OwnerPlan[] {
  const kinds: readonly OwnerOp[] = ["pause", "resume", "pause", "resume", "rotate", "enable", "delete"];
  const isDeletable = chance.isTrue(0.25);
  // Some owners change their mind within a moment.
  const aroundMs = chance.isTrue(0.3) ? chance.whole(createAtMs, stormMs) : null;
  const atMs = (): number => (aroundMs === null ? chance.whole(createAtMs, stormMs) : aroundMs + chance.whole(0, 50));
  return Array.from({ length: chance.whole(0, 6) }, () => ({ atMs: atMs(), op: chance.pick(kinds) }))
    .filter(({ op }) => op !== "delete" || isDeletable)
    .toSorted((left, right) => left.atMs - right.atMs);
}

function drawPublishes(chance: Chance, tenants: readonly string[], stormMs: number): PublishPlan[] {
  const [hasKeys, hasIds, hasDelays, hasBatches] = [0.6, 0.5, 0.4, 0.4].map((rate) => chance.isTrue(rate));
  const identities = [
    "none",
    ...(hasKeys === true ? ["key"] : []),
    ...(hasIds === true ? ["id"] : []),
  ] as EventPlan["identity"][];
  const priorities = chance.pick([
    ["HIGH", "MEDIUM", "LOW"],
    ["LOW", "LOW", "LOW", "LOW", "HIGH"],
    ["MEDIUM"],
  ] as const);
  const count = chance.whole(20, EVENTS_MAX);
  const plans: PublishPlan[] = [];
  let n = 0;
  while (plans.length < count && (plans.at(-1)?.events.at(-1)?.n ?? 0) < count - 1) {
    const size = hasBatches === true && chance.isTrue(0.2) ? chance.whole(2, 12) : 1;
    const events = Array.from({ length: size }, (): EventPlan => {
      return {
        n: n++,
        type: chance.pick(TYPES),
        priority: chance.pick(priorities),
        identity: chance.pick(identities),
        deliverAfterMs: hasDelays === true && chance.isTrue(0.15) ? chance.magnitude(1, 30_000) : null,
        pad: chance.magnitude(1, 400),
      };
    });
    plans.push({ atMs: chance.whole(50, stormMs), tenant: chance.pick(tenants), events });
  }
  return plans.toSorted((left, right) => left.atMs - right.atMs);
}
