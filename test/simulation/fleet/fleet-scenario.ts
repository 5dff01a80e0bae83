/** What will be done to a simulated fleet: a scenario as for a single process, and what only a fleet can meet. */
import type { RetryPolicy } from "@posthaste/shared/domain/retry-policy.ts";
import type { Chance } from "../chance.ts";
import type { Scenario, SlotPlan } from "../scenario.ts";
import { drawScenario } from "../scenario.ts";
import type { Emptying } from "./emptyings.ts";
import { drawEmptyings } from "./emptyings.ts";
import { withFleetNotices } from "./fleet-notices.ts";
import type { LimitedKey } from "./limited-keys.ts";
import { drawLimitedKeys } from "./limited-keys.ts";

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface FleetScenario extends Omit<Scenario, "bounds" | "commitDeaths" | "diskTroubles"> {
  readonly gateways: number;
  readonly processors: number;
  readonly partitions: number;
  readonly shards: number;
  readonly redisAway: readonly Span[];
  readonly logAway: readonly Span[];
  /** Share of the calls to Redis that are lost on the way there or back. */
  readonly lostCallRate: number;
  /** A further processor comes, and goes at the end of the span. */
  readonly visits: readonly Span[];
  /** It is killed then, and has room for next to nothing that is deferred: what overflowed is left. */
  readonly visitorsDie: boolean;
  readonly limitedKeys: readonly LimitedKey[];
  readonly emptyings: readonly Emptying[];
}

/** Some groups wait for longer than a lane waits for its head. */
function drawWait(chance: Chance, batch: NonNullable<SlotPlan["batch"]>): NonNullable<SlotPlan["batch"]> {
  return chance.isTrue(0.5) ? { ...batch, max_events: 6, max_wait_ms: chance.whole(20_000, 60_000) } : batch;
}

/** So that a world is over within minutes of its own time. */
const SHORT_RETRIES: RetryPolicy = { delays_s: [0, 5, 10, 30, 60] };

/** What was added later is drawn by chances of its own, so that the rest of each fleet stays what it was. */
interface Chances {
  readonly chance: Chance;
  readonly late: Chance;
  readonly latest: Chance;
  readonly notices: Chance;
}

export function drawFleetScenario({ chance, late, latest, notices }: Chances): FleetScenario {
  const fleet = drawLimitsAndEmptyings(drawTroubledFleet(chance), late);
  return withFleetNotices(latest.isTrue(0.06) ? withDyingVisitors(fleet, latest) : fleet, notices);
}

/** One processor, beside which another comes that dies with its overflow when all else comes to rest: nobody is started after it. */
function withDyingVisitors(fleet: FleetScenario, chance: Chance): FleetScenario {
  const { stormMs, partitions } = fleet;
  const visit = { fromMs: chance.whole(0, stormMs / 4), toMs: stormMs + chance.whole(-1000, 1000) };
  const calm = { isHealing: false, crashesAtMs: [], stopsAtMs: [] };
  return { ...fleet, ...calm, processors: 1, partitions: Math.max(2, partitions), visitorsDie: true, visits: [visit] };
}

type TroubledFleet = Omit<FleetScenario, "limitedKeys" | "emptyings">;

function drawTroubledFleet(chance: Chance): TroubledFleet {
  const { bounds: _bounds, commitDeaths: _deaths, diskTroubles: _troubles, ...scenario } = drawScenario(chance.fork());
  const spans = (rate: number, most: number, longestMs: number): Span[] =>
    Array.from({ length: chance.isTrue(rate) ? chance.whole(1, most) : 0 }, () => {
      const fromMs = chance.whole(0, scenario.stormMs);
      return { fromMs, toMs: fromMs + chance.magnitude(10, longestMs) };
    }).toSorted((left, right) => left.fromMs - right.fromMs);
  const waits = chance.fork();
  return {
    ...scenario,
    slots: scenario.slots.map((slot) => {
      if (slot.isHealthy) return slot;
      const retry = slot.retry ?? SHORT_RETRIES;
      return { ...slot, retry, batch: slot.batch === null ? null : drawWait(waits, slot.batch) };
    }),
    gateways: chance.whole(1, 2),
    processors: chance.whole(1, 3),
    partitions: chance.whole(1, 3),
    shards: chance.pick([1, 1, 2]),
    redisAway: spans(0.3, 2, 20_000),
    logAway: spans(0.25, 2, 15_000),
    lostCallRate: chance.pick([0, 0, 0.002, 0.02]),
    visits: spans(0.4, 2, 30_000),
    visitorsDie: false,
  };
}

function drawLimitsAndEmptyings(fleet: TroubledFleet, late: Chance): FleetScenario {
  const [hasLimits, isEmptied] = [0.3, 0.2].map((rate) => late.isTrue(rate));
  const limitedKeys = hasLimits === true ? drawLimitedKeys(late.fork(), fleet) : [];
  if (isEmptied !== true) return { ...fleet, limitedKeys, emptyings: [] };
  const emptyings = drawEmptyings(late, fleet.stormMs);
  // Where nobody dies, nothing is forgotten that somebody knew.
  const lives = late.isTrue(0.5) ? { crashesAtMs: [], stopsAtMs: [], visits: [], lostCallRate: 0 } : {};
  return { ...fleet, ...lives, limitedKeys, emptyings };
}
