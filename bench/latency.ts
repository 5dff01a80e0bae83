/**
 * From publish to receiver, open loop: each event counts from when it was to be published. At a low rate, and at half of what each
 * lane carries; against a bare client that posts straight to the receiver at the same rate, in interleaved rounds of one
 * run; and what an event costs our processes.
 */
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { cpuUsOf, openBenchSystem } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { median, percentile, spreadText } from "./figures.ts";
import { EVENT_DATA, requireWrk } from "./load.ts";
import { addLoadKey, publishAtOnce } from "./publish.ts";
import type { Subject, Usage } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

const LOW_RATE = 200;
interface Offer {
  readonly count: number;
  /** Events a second. */
  readonly rate: number;
}

/**
 * Before the first round, of each lane: the runtime compiles for about 25,000 events, for 100 to 200 us of processor time each on its own threads,
 * which is no part of what an event costs (Bun 1.4.5, embedded).
 */
const WARM_UP = {
  embedded: { count: 30_000, rate: 1500 },
  distributed: { count: 10_000, rate: 1000 },
} as const satisfies Record<BenchSet, Offer>;
/** After the last arrival, until what is written late is written. */
const SETTLE_MS = 500;
/** Of the look at what a lane carries, published as fast as it is taken. */
const SATURATION = { seconds: 4, connections: 64 };

interface Round {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}

/** A lane and its rate, events a second; measured in turns with the bare client at the same. */
interface Part {
  readonly priority: Priority;
  readonly rate: number;
  readonly bare: Round[];
  readonly ours: Round[];
}

interface Bench {
  readonly system: BenchSystem;
  readonly sink: Subject;
  readonly publisher: Subject;
  readonly key: string;
}

export async function benchLatency(wish: { set: BenchSet; rounds: number; seconds: number }): Promise<Finding[]> {
  const { set, rounds, seconds } = wish;
  requireWrk();
  await using system = await openBenchSystem(set, {});
  await using sink = await startSubject("sink.ts");
  const sinkUrl = `http://127.0.0.1:${String(sink.hello["port"])}/0`;
  await system.post("/v1/endpoints", { url: sinkUrl, tenant: "probe", event_types: ["probe"] });
  const key = await addLoadKey(system, "probe");
  await using publisher = await startSubject("publisher.ts", { URL: system.url, SINK: sinkUrl, KEY: key });
  const bench = { system, sink, publisher, key };
  const priorities = set === "embedded" ? (["MEDIUM"] as const) : Priority.options;
  await offer(bench, "bare", WARM_UP[set]);
  for (const priority of priorities) await offer(bench, priority, WARM_UP[set]);
  const low = priorities.map((priority) => partOf(priority, LOW_RATE));
  await measure(bench, low, rounds, seconds);
  const half: Part[] = [];
  for (const priority of priorities) half.push(partOf(priority, Math.round((await carriedBy(bench, priority)) / 2)));
  await measure(bench, half, rounds, seconds);
  const title =
    `latency, ${set}: ${rounds} interleaved rounds of ${seconds} s, from when an event was to be published to its arrival; medians of the ` +
    "rounds, ratios by round to a bare client at the same rate.";
  return [
    findingOf(`${title} At ${LOW_RATE} events a second`, low),
    findingOf(`${title} At half of what each lane carries`, half),
  ];
}

function partOf(priority: Priority, rate: number): Part {
  return { priority, rate, bare: [], ours: [] };
}

async function measure(bench: Bench, parts: readonly Part[], rounds: number, seconds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const { priority, rate, bare, ours } of parts) {
      const wish = { count: rate * seconds, rate };
      bare.push(await offer(bench, "bare", wish));
      ours.push(await offer(bench, priority, wish));
    }
  }
}

/** Resolves when all have arrived. */
async function offer(
  { system, sink, publisher }: Bench,
  to: Priority | "bare",
  { count, rate }: Offer,
): Promise<Round> {
  await sink.ask("reset");
  const before = cpuMsOf(system.usages());
  const arrived = sink.ask(`wait ${count}`);
  await publisher.ask(to === "bare" ? `bare ${count} ${rate}` : `offer ${count} ${rate} ${to}`);
  await arrived;
  await Bun.sleep(SETTLE_MS);
  const after = cpuMsOf(system.usages());
  const latencies = Object.values((await sink.ask("figures"))["latencies"] as Record<string, number[]>).flat();
  return { p50Ms: median(latencies), p99Ms: percentile(latencies, 0.99), cpuMs: (after - before) / count };
}

/** Events a second. */
async function carriedBy({ system, sink, key }: Bench, priority: Priority): Promise<number> {
  const body = JSON.stringify({ type: "probe", priority, data: EVENT_DATA });
  const { seconds, connections } = SATURATION;
  return (await publishAtOnce(system, sink, { key, body, connections }, seconds)).drainRate;
}

const HEADER = ["subject", "p50 ms", "p50 ratio", "spread", "p99 ms", "p99 ratio", "spread", "own CPU ms each"];

function findingOf(title: string, parts: readonly Part[]): Finding {
  const rows = parts.flatMap(({ priority, rate, bare, ours }) => [
    rowOf(`bare client, ${rate}/s`, bare, bare, false),
    rowOf(`${priority}, ${rate}/s`, ours, bare, true),
  ]);
  return { title, header: HEADER, rows, plotted: HEADER.indexOf("p50 ratio") };
}

function rowOf(name: string, rounds: readonly Round[], bare: readonly Round[], isOurs: boolean): readonly string[] {
  const ratios = (pick: (round: Round) => number): number[] =>
    rounds.map((round, index) => pick(round) / pick(bare[index] ?? round));
  const cells = (pick: (round: Round) => number): string[] => [
    median(rounds.map(pick)).toFixed(2),
    median(ratios(pick)).toFixed(2),
    spreadText(ratios(pick)),
  ];
  return [
    name,
    ...cells(({ p50Ms }) => p50Ms),
    ...cells(({ p99Ms }) => p99Ms),
    isOurs ? median(rounds.map(({ cpuMs }) => cpuMs)).toFixed(2) : "",
  ];
}

function cpuMsOf(usages: readonly Usage[]): number {
  return cpuUsOf(usages) / 1000;
}
