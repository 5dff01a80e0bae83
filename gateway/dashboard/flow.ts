/**
 * How much is accepted and delivered, by lane, from what this process measures of itself. A rate needs two looks: each look is kept
 * for a while, and compared with the oldest that is. Before there are two, the counts are those since the start.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";

/** Looks closer together than this count as one. */
const APART_MS = 5000;
/** A look is compared with those of so long before. */
const KEPT_MS = 10 * 60 * 1000;
const LOOKS_MAX = KEPT_MS / APART_MS;

export interface LaneFlow {
  readonly lane: Lane;
  readonly accepted: number;
  readonly delivered: number;
  /** What an attempt left to be retried, and what is dead. */
  readonly failed: number;
  /** Of 100 deliveries 50 and 99 took at most so long from acceptance to the 2xx; null where none was made. */
  readonly withinMs: { readonly half: number; readonly most: number } | null;
}

export interface Flow {
  /** Since the look that this one is compared with; null: since the start of the process. */
  readonly spanMs: number | null;
  readonly lanes: readonly LaneFlow[];
}

type Counters = ReadonlyMap<string, number>;

export class FlowLooks {
  #looks: { readonly atMs: number; readonly counters: Counters }[] = [];

  /** `text` is that of `/metrics` in Prometheus' format; `atMs` of a clock that never steps. */
  look(text: string, atMs: number): Flow {
    const counters = readCounters(text);
    this.#looks = this.#looks.filter((look) => atMs - look.atMs <= KEPT_MS).slice(-LOOKS_MAX);
    const first = this.#looks[0];
    const last = this.#looks.at(-1);
    if (last === undefined || atMs - last.atMs >= APART_MS) this.#looks.push({ atMs, counters });
    const isApart = first !== undefined && atMs - first.atMs >= APART_MS;
    const before = isApart ? first.counters : new Map<string, number>();
    return { spanMs: isApart ? atMs - first.atMs : null, lanes: LANES.map((lane) => laneFlow(lane, counters, before)) };
  }
}

const ACCEPTED = "posthaste_events_accepted_total";
const DELIVERIES = "posthaste_deliveries_total";
const BUCKETS = "posthaste_delivery_duration_seconds_bucket";
const WANTED: ReadonlySet<string> = new Set([ACCEPTED, DELIVERIES, BUCKETS]);
const LABELS = ["priority", "lane", "outcome", "le"];

/** By name and the labels that matter here; those of several processes are added up. */
function readCounters(text: string): Counters {
  const counters = new Map<string, number>();
  for (const [, name = "", labels = "", value = ""] of text.matchAll(/^(posthaste_\w+)\{(.*)\} (\S+)/gm)) {
    if (!WANTED.has(name)) continue;
    const words = new Map(
      Array.from(labels.matchAll(/(\w+)="([^"]*)"/g), ([, label = "", word = ""]) => [label, word]),
    );
    const key = [name, ...LABELS.flatMap((label) => words.get(label)?.toLowerCase() ?? [])].join(" ");
    counters.set(key, (counters.get(key) ?? 0) + Number(value));
  }
  return counters;
}

function laneFlow(lane: Lane, now: Counters, before: Counters): LaneFlow {
  const since = (key: string): number => Math.max(0, (now.get(key) ?? 0) - (before.get(key) ?? 0));
  const buckets = [...now.keys()]
    .filter((key) => key.startsWith(`${BUCKETS} ${lane} `))
    .map((key) => ({ upToS: boundOf(key.slice(`${BUCKETS} ${lane} `.length)), count: since(key) }))
    .toSorted((left, right) => left.upToS - right.upToS);
  return {
    lane,
    accepted: since(`${ACCEPTED} ${lane}`),
    delivered: since(`${DELIVERIES} ${lane} delivered`),
    failed: since(`${DELIVERIES} ${lane} retrying`) + since(`${DELIVERIES} ${lane} dead`),
    withinMs: withinMs(buckets),
  };
}

function boundOf(text: string): number {
  return text === "+inf" ? Number.POSITIVE_INFINITY : Number(text);
}

/** By the bounds of the buckets, which hold what took up to so long. */
function withinMs(buckets: readonly { readonly upToS: number; readonly count: number }[]): LaneFlow["withinMs"] {
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return null;
  const bound = (share: number): number => (buckets.find(({ count }) => count >= total * share)?.upToS ?? 0) * 1000;
  return { half: bound(0.5), most: bound(0.99) };
}
