/**
 * A storm of retries: endpoints that were well fail all at once, thousands of events come for them, and then they recover, all at
 * once too. A healthy endpoint of another tenant gets a steady few events a second: its p99 before, during and after, in the same
 * round, and how long after the recovery the last event of the storm arrives. Each round on a system of its own.
 */
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import { openProbe } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { median, percentile, spreadText } from "./figures.ts";
import { within } from "./in-bounds.ts";
import { startMoody } from "./moody.ts";

const ENDPOINTS = 20;
/** Of the healthy endpoint, a second. */
const RATE = 50;
const RETRY = { base_s: 1, factor: 1, max_s: 1, attempts: 50 };
const BATCH = 500;
const DATA = { note: "x".repeat(900) };
/** For each endpoint before the storm: it was well, and code in JavaScript needs its work to be compiled. */
const WELL_EVENTS = 50;
const WELL_MS_MAX = 60_000;
const WARM_UP_S = 5;
const ARRIVE_MS_MAX = 600_000;
/** After the last of the steady events was published. */
const STEADY_MS_MAX = 120_000;

const PHASES = ["before", "during", "after"] as const;
type Phase = (typeof PHASES)[number];

export interface StormOptions {
  readonly set: BenchSet;
  readonly rounds: number;
  /** Of the storm, over all of its endpoints. */
  readonly events: number;
  /** Of each phase; the last one goes on until all have arrived. */
  readonly seconds: number;
}

interface Round {
  readonly latencies: Readonly<Record<Phase, readonly number[]>>;
  /** From the recovery until the last event of the storm has arrived. */
  readonly lastS: number;
  /** Of the storm's events, for each. */
  readonly attempts: number;
}

export async function benchStorm(wish: StormOptions): Promise<Finding[]> {
  const { set, rounds, events, seconds } = wish;
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round += 1) measured.push(await runRound(wish));
  const title =
    `storm, ${set}: ${rounds} rounds, ${events} events for ${ENDPOINTS} endpoints that fail for ${seconds} s; a healthy endpoint at ${RATE} events a second, ` +
    "from when an event was to be published to its arrival, medians; ratios by round";
  const lasts = measured.map(({ lastS }) => lastS);
  const attempts = median(measured.map((round) => round.attempts)).toFixed(2);
  const note =
    `the last of the ${events} arrived ${median(lasts).toFixed(1)} s after the recovery (${spreadText(lasts, 1)}), ` +
    `with ${attempts} attempts for each`;
  const header = ["healthy endpoint", "events", "p50 ms", "p99 ms", "p99 ratio", "spread"];
  return [{ title, header, rows: PHASES.map((phase) => rowOf(phase, measured)), plotted: 3, note }];
}

function rowOf(phase: Phase, rounds: readonly Round[]): readonly string[] {
  const at = (share: number): number => median(rounds.map(({ latencies }) => percentile(latencies[phase], share)));
  const ratios = rounds.map(({ latencies }) => percentile(latencies[phase], 0.99) / percentile(latencies.before, 0.99));
  const counts = rounds.map(({ latencies }) => latencies[phase].length);
  return [
    `${phase} the storm`,
    median(counts).toFixed(0),
    at(0.5).toFixed(1),
    at(0.99).toFixed(1),
    median(ratios).toFixed(2),
    spreadText(ratios),
  ];
}

async function runRound({ set, events, seconds }: StormOptions): Promise<Round> {
  await using moody = await startMoody();
  await using probe = openProbe();
  await using system = await openBenchSystem(set, {});
  await system.post("/v1/endpoints", { url: probe.url, tenant: "steady", event_types: ["probe"] });
  for (let index = 0; index < ENDPOINTS; index += 1) {
    const url = moody.url(`down/${index}`);
    await system.post("/v1/endpoints", { url, tenant: "storm", event_types: [`to.n${index}`], retry: RETRY });
  }
  await publishStorm(system, ENDPOINTS * WELL_EVENTS);
  await moody.took("down", ENDPOINTS * WELL_EVENTS, WELL_MS_MAX);
  await moody.reset();
  await steadily(system, probe, Bun.sleep(WARM_UP_S * 1000));
  const before = await steadily(system, probe, Bun.sleep(seconds * 1000));
  await moody.ail();
  const published = publishStorm(system, events);
  const during = await steadily(system, probe, Promise.all([published, Bun.sleep(seconds * 1000)]));
  const healedAtMs = await moody.heal();
  const all = moody.took("down", events, ARRIVE_MS_MAX);
  const after = await steadily(system, probe, Promise.all([all, Bun.sleep(seconds * 1000)]));
  const { lastAtMs, attempts } = await all;
  return {
    latencies: { before, during, after },
    lastS: (lastAtMs - healedAtMs) / 1000,
    attempts: attempts / events,
  };
}

/** To each endpoint in turn. */
async function publishStorm({ post }: BenchSystem, events: number): Promise<void> {
  for (let sent = 0; sent < events; sent += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, events - sent) }, (_, index) => ({
      type: `to.n${(sent + index) % ENDPOINTS}`,
      tenant: "storm",
      data: DATA,
    }));
    await post("/v1/events/batch", { events: batch });
  }
}

/** At a constant rate until the work has ended; resolves with the latencies when all of them have arrived. */
async function steadily(
  { post }: BenchSystem,
  probe: ReturnType<typeof openProbe>,
  work: Promise<unknown>,
): Promise<readonly number[]> {
  const over = new AbortController();
  const ended = work.finally(() => over.abort());
  // What fails is thrown below, when nothing more is begun.
  ended.catch(() => undefined);
  const startMs = performance.now();
  const publish = async (dueMs: number): Promise<number> => {
    const accepted = await post("/v1/events", { type: "probe", tenant: "steady", data: {} });
    return (await probe.arrival(String(accepted["id"]))) - dueMs;
  };
  const arrivals: Promise<number>[] = [];
  for (let nth = 0; !over.signal.aborted; nth += 1) {
    const dueMs = startMs + (nth * 1000) / RATE;
    if (dueMs > performance.now()) await Bun.sleep(dueMs - performance.now());
    const arrival = publish(dueMs);
    arrival.catch(() => undefined);
    arrivals.push(arrival);
  }
  await ended;
  return await within(STEADY_MS_MAX, `the arrival of ${arrivals.length} steady events`, Promise.all(arrivals));
}
