/**
 * How much flows through each lane, minute by minute: which counts there are, and how they are added up before a store gets them.
 * Times are taken as the first of a few bounds, so that those of many processes add up to one distribution.
 */
import type { Lane } from "./event.ts";
import { LANES } from "./event.ts";

export const MINUTE_MS = 60_000;
/** How long a minute counts. */
export const FLOW_KEPT_MS = 60 * MINUTE_MS;
/** Those that are kept, and one each for clocks that are a little ahead or behind. */
export const FLOW_MINUTES_MAX = 63;

/** From when an event could be delivered to its 2xx; what took longer is counted beyond them. */
export const TOOK_BOUNDS_MS = [
  5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 1_800_000, 3_600_000,
] as const;

/** Of one lane: events that began in the minute, and attempts that ended in it. Minutes of nothing are left out. */
export interface LaneMinute {
  readonly lane: Lane;
  /** The minute's beginning, in epoch ms. */
  readonly atMs: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly retried: number;
  readonly dead: number;
  /** Of those delivered, by the first bound that each is within; one more at the end for those beyond all. */
  readonly took: readonly number[];
}

/** Counts of one minute that were not written yet: each a field with what is to be added to it. */
export interface MinuteCounts {
  readonly minute: number;
  readonly counts: readonly (readonly [field: string, count: number])[];
}

export type FlowOutcome = "delivered" | "retried" | "dead";

/** Every field that a minute may have: at most 63. */
export const FLOW_FIELDS: ReadonlySet<string> = new Set(
  LANES.flatMap((lane) => [
    ...["accepted", "delivered", "retried", "dead"].map((name) => `${lane}:${name}`),
    ...Array.from({ length: TOOK_BOUNDS_MS.length + 1 }, (_, index) => tookField(lane, index)),
  ]),
);

function tookField(lane: Lane, index: number): string {
  return `${lane}:took:${index}`;
}

/** At most `FLOW_MINUTES_MAX` minutes of at most 63 counts; past them the oldest minute is forgotten. */
export class PendingMinutes {
  #byMinute = new Map<number, Map<string, number>>();

  get isEmpty(): boolean {
    return this.#byMinute.size === 0;
  }

  accepted(lane: Lane, atMs: number): void {
    this.#add(atMs, `${lane}:accepted`);
  }

  /** `tookMs`: from when it could be delivered; told of deliveries alone. */
  ended(lane: Lane, outcome: FlowOutcome, tookMs: number, atMs: number): void {
    this.#add(atMs, `${lane}:${outcome}`);
    if (outcome === "delivered") this.#add(atMs, tookField(lane, boundIndex(tookMs)));
  }

  takeAll(): readonly MinuteCounts[] {
    const all = [...this.#byMinute].map(([minute, counts]) => ({ minute, counts: [...counts] }));
    this.#byMinute = new Map();
    return all;
  }

  #add(atMs: number, field: string): void {
    const minute = atMs - (atMs % MINUTE_MS);
    let counts = this.#byMinute.get(minute);
    if (counts === undefined) {
      counts = new Map();
      this.#byMinute.set(minute, counts);
      if (this.#byMinute.size > FLOW_MINUTES_MAX) this.#byMinute.delete(Math.min(...this.#byMinute.keys()));
    }
    counts.set(field, (counts.get(field) ?? 0) + 1);
  }
}

function boundIndex(tookMs: number): number {
  const index = TOOK_BOUNDS_MS.findIndex((boundMs) => tookMs <= boundMs);
  return index === -1 ? TOOK_BOUNDS_MS.length : index;
}

/** Oldest first, one for each lane of a minute in which something was counted. The same field of a minute may come from several places. */
export function laneMinutes(read: readonly MinuteCounts[]): readonly LaneMinute[] {
  const byMinute = new Map<number, Map<string, number>>();
  for (const { minute, counts } of read) {
    const sums = byMinute.get(minute) ?? new Map<string, number>();
    byMinute.set(minute, sums);
    for (const [field, count] of counts) sums.set(field, (sums.get(field) ?? 0) + count);
  }
  return [...byMinute]
    .toSorted(([left], [right]) => left - right)
    .flatMap(([atMs, sums]) => LANES.map((lane) => laneMinute(lane, atMs, sums)))
    .filter(({ accepted, delivered, retried, dead }) => accepted + delivered + retried + dead > 0);
}

function laneMinute(lane: Lane, atMs: number, sums: ReadonlyMap<string, number>): LaneMinute {
  const count = (name: string): number => sums.get(`${lane}:${name}`) ?? 0;
  return {
    lane,
    atMs,
    accepted: count("accepted"),
    delivered: count("delivered"),
    retried: count("retried"),
    dead: count("dead"),
    took: Array.from({ length: TOOK_BOUNDS_MS.length + 1 }, (_, index) => sums.get(tookField(lane, index)) ?? 0),
  };
}
