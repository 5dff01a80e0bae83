/**
 * From publish to receiver at a low rate, open loop: each event counts from when it was to be published. Against a bare client
 * that posts straight to the receiver at the same rate, in interleaved rounds of one run; and what an event costs our processes.
 */
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { BenchSet } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { median, percentile, spreadText } from "./figures.ts";
import type { Subject, Usage } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

/** The subject that the others are compared with. */
const BARE = "bare client";
/** Events a second. */
const RATE = 200;
/** Before the first round, of each subject: code in JavaScript needs events to be compiled. */
const WARM_UP = { count: 6000, rate: 1000 };
/** After the last arrival, until what is written late is written. */
const SETTLE_MS = 500;

interface Round {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}

interface Offer {
  readonly count: number;
  /** A second. */
  readonly rate: number;
}

export async function benchLatency(wish: { set: BenchSet; rounds: number; seconds: number }): Promise<Finding[]> {
  const { set, rounds, seconds } = wish;
  await using system = await openBenchSystem(set, {});
  await using sink = await startSubject("sink.ts");
  const sinkUrl = `http://127.0.0.1:${String(sink.hello["port"])}/0`;
  await system.post("/v1/endpoints", { url: sinkUrl, tenant: "probe", event_types: ["probe"] });
  const rateLimit = { limit: 100_000, window_ms: 1000 };
  const wishKey = { name: "probe", tenant: "probe", scopes: ["publish"], rate_limit: rateLimit };
  const { key } = await system.post("/v1/api-keys", wishKey);
  await using publisher = await startSubject("publisher.ts", { URL: system.url, SINK: sinkUrl, KEY: String(key) });
  const priorities = set === "embedded" ? (["MEDIUM"] as const) : Priority.options;
  const run = (name: string, offer: Offer): Promise<Round> =>
    runRound(publisher, sink, () => cpuMsOf(system.usages()), name, offer);
  const names = [BARE, ...priorities];
  for (const name of names) await run(name, WARM_UP);
  const measured = new Map(names.map((name) => [name, [] as Round[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) measured.get(name)?.push(await run(name, { count: RATE * seconds, rate: RATE }));
  }
  const bare = measured.get(BARE) ?? [];
  const rows = names.map((name) => rowOf(name, measured.get(name) ?? [], bare));
  const title =
    `latency, ${set}: ${rounds} interleaved rounds of ${seconds} s at ${RATE} events a second, from when an event was to be ` +
    "published to its arrival; medians of the rounds, ratios by round";
  const header = ["subject", "p50 ms", "p50 ratio", "spread", "p99 ms", "p99 ratio", "spread", "own CPU ms each"];
  return [{ title, header, rows, plotted: 2 }];
}

async function runRound(
  publisher: Subject,
  sink: Subject,
  cpuMs: () => number,
  name: string,
  { count, rate }: Offer,
): Promise<Round> {
  await sink.ask("reset");
  const before = cpuMs();
  const arrived = sink.ask(`wait ${count}`);
  await publisher.ask(`${name === BARE ? "bare" : "offer"} ${count} ${rate} ${name}`);
  await arrived;
  await Bun.sleep(SETTLE_MS);
  const after = cpuMs();
  const latencies = Object.values((await sink.ask("figures"))["latencies"] as Record<string, number[]>).flat();
  return { p50Ms: median(latencies), p99Ms: percentile(latencies, 0.99), cpuMs: (after - before) / count };
}

function rowOf(name: string, rounds: readonly Round[], bare: readonly Round[]): readonly string[] {
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
    name === BARE ? "" : median(rounds.map(({ cpuMs }) => cpuMs)).toFixed(2),
  ];
}

function cpuMsOf(usages: readonly Usage[]): number {
  return usages.reduce((sum, { cpuUs }) => sum + cpuUs / 1000, 0);
}
