/** How much flows through the lanes, of the whole deployment: what pages show of the minutes that the stats keep. */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import type { LaneMinute } from "@posthaste/shared/domain/lane-minutes.ts";
import { FLOW_KEPT_MS, MINUTE_MS, TOOK_BOUNDS_MS } from "@posthaste/shared/domain/lane-minutes.ts";

/** Rates are of so many minutes, the one under way included. */
const RATE_MINUTES = 5;

/** Of 100 deliveries 50, 95 and 99 took at most so long from when they could be made to the 2xx; Infinity: beyond all bounds. */
export interface Within {
  readonly halfMs: number;
  readonly nearlyAllMs: number;
  readonly mostMs: number;
}

export interface LaneFlow {
  readonly lane: Lane;
  readonly acceptedPerS: number;
  readonly deliveredPerS: number;
  /** Attempts of the last hour, one for each event in them. */
  readonly delivered: number;
  /** What an attempt left to be retried, and what is dead. */
  readonly failed: number;
  /** Null where nothing was delivered in the last hour. */
  readonly within: Within | null;
}

export interface FlowCounts {
  readonly accepted: number;
  readonly delivered: number;
  readonly failed: number;
  readonly within: Within | null;
}

export interface FlowMinute extends FlowCounts {
  readonly atMs: number;
}

export interface Flow {
  readonly rateSpanMs: number;
  readonly lanes: readonly LaneFlow[];
  /** Of all lanes; each of the last hour, that under way last. */
  readonly minutes: readonly FlowMinute[];
  /** All of them together. */
  readonly hour: FlowCounts;
}

/** `read` is what the stats have; `nowMs` of the clock that counted it. */
export function flowOf(read: readonly LaneMinute[], nowMs: number): Flow {
  const lastMs = nowMs - (nowMs % MINUTE_MS);
  const rateFromMs = lastMs - (RATE_MINUTES - 1) * MINUTE_MS;
  const rateSpanMs = nowMs - rateFromMs;
  const firstMs = lastMs - FLOW_KEPT_MS + MINUTE_MS;
  const recent = read.filter(({ atMs }) => atMs >= firstMs);
  const lanes = LANES.map((lane): LaneFlow => {
    const ofLane = recent.filter((each) => each.lane === lane);
    const latest = sumOf(ofLane.filter(({ atMs }) => atMs >= rateFromMs));
    const { delivered, failed, within } = sumOf(ofLane);
    const perS = (count: number): number => (1000 * count) / rateSpanMs;
    return {
      lane,
      acceptedPerS: perS(latest.accepted),
      deliveredPerS: perS(latest.delivered),
      delivered,
      failed,
      within,
    };
  });
  const byMinute = Map.groupBy(recent, ({ atMs }) => atMs);
  const minutes = Array.from({ length: FLOW_KEPT_MS / MINUTE_MS }, (_, index) => {
    const atMs = firstMs + index * MINUTE_MS;
    return { atMs, ...sumOf(byMinute.get(atMs) ?? []) };
  });
  return { rateSpanMs, lanes, minutes, hour: sumOf(recent) };
}

function sumOf(minutes: readonly LaneMinute[]): FlowCounts {
  const sum = (count: (minute: LaneMinute) => number): number =>
    minutes.reduce((total, minute) => total + count(minute), 0);
  const took = Array.from({ length: TOOK_BOUNDS_MS.length + 1 }, (_, index) =>
    sum((minute) => minute.took[index] ?? 0),
  );
  return {
    accepted: sum(({ accepted }) => accepted),
    delivered: sum(({ delivered }) => delivered),
    failed: sum(({ retried, dead }) => retried + dead),
    within: withinOf(took),
  };
}

function withinOf(took: readonly number[]): Within | null {
  const total = took.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const bound = (share: number): number => {
    let counted = 0;
    for (const [index, count] of took.entries()) {
      counted += count;
      if (counted >= total * share) return TOOK_BOUNDS_MS[index] ?? Number.POSITIVE_INFINITY;
    }
    return Number.POSITIVE_INFINITY;
  };
  return { halfMs: bound(0.5), nearlyAllMs: bound(0.95), mostMs: bound(0.99) };
}
