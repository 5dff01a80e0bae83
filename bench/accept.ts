/**
 * Durable accept by itself, against its ceiling: the same load on bare Hono that validates and answers 202, and on the gateway that
 * answers after the event is on disk, in Redis or in Kafka; one event a request, and batches. Interleaved rounds in one run; the
 * ratio of medians, in events, is the figure.
 */
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { BenchSet } from "./bench-system.ts";
import { openDistributedBench } from "./distributed.ts";
import type { Figures, Finding } from "./figures.ts";
import { figuresFinding, figuresRow, medianFigures } from "./figures.ts";
import type { Wish } from "./load.ts";
import { BENCH_KEY, CONNECTIONS, EVENT_DATA, postEvents, requireWrk } from "./load.ts";
import { addLoadKey } from "./publish.ts";
import type { Usage } from "./subject-process.ts";
import { startSubject, usageOf } from "./subject-process.ts";

const BATCH = 100;
/** Each holds a hundred events: more at once would only wait, and be refused for the memory of their bodies. */
const BATCH_CONNECTIONS = 16;

/** Not measured: the runtime compiles for about 25,000 events (`latency.ts`); the slowest has 22,000 in four seconds. */
const WARM_UP_S = 4;

interface Part {
  readonly name: string;
  readonly load: Wish;
  /** In one request. */
  readonly events: number;
  /** A subject of its own in each round; null: the gateway that runs through all rounds. */
  readonly subject: { readonly file: string; readonly environment: Readonly<Record<string, string>> } | null;
}

const BARE: Part = single("bare Hono, validates, 202", "bare-hono.ts");

export function benchAccept(wish: { set: BenchSet; rounds: number; seconds: number }): Promise<Finding[]> {
  requireWrk();
  return wish.set === "embedded" ? benchEmbedded(wish) : benchDistributed(wish);
}

async function benchEmbedded({ rounds, seconds }: { rounds: number; seconds: number }): Promise<Finding[]> {
  const gateway = single("gateway, durable (fsync before 202)", "gateway.ts");
  const parts = [
    BARE,
    single("bare Hono, group commit of SQLite", "bare-durable.ts", { STORE: "commit" }),
    gateway,
    single("gateway + processor, durable", "gateway.ts", { PROCESSOR: "1" }),
    inBatches(gateway, "MEDIUM", BENCH_KEY),
  ];
  return await measure(parts, null, rounds, seconds, "embedded");
}

/** No processor: what is accepted waits. */
async function benchDistributed({ rounds, seconds }: { rounds: number; seconds: number }): Promise<Finding[]> {
  await using bench = await openDistributedBench({ gateways: 1, processors: 0 });
  const [gateway] = bench.gateways;
  if (gateway === undefined) throw new Error("no gateway");
  const key = await addLoadKey(bench, "load");
  const lanes = Priority.options.map((priority): Part => {
    const load = { key, body: JSON.stringify(eventOf(priority)) };
    return { name: `gateway, ${priority}`, load, events: 1, subject: null };
  });
  const batches = lanes.map((lane, index) => inBatches(lane, Priority.options[index] ?? "MEDIUM", key));
  const running = { port: Number(new URL(gateway.url).port), usage: () => usageOf(gateway.pid) };
  const ceilings = [
    BARE,
    single("bare Hono, LPUSH", "bare-durable.ts", { ...bench.stores, STORE: "lpush" }),
    single("bare Hono, produce", "bare-durable.ts", { ...bench.stores, STORE: "produce" }),
  ];
  return await measure([...ceilings, ...lanes, ...batches], running, rounds, seconds, "distributed, no processor");
}

async function measure(
  parts: readonly Part[],
  gateway: Server | null,
  rounds: number,
  seconds: number,
  what: string,
): Promise<Finding[]> {
  const results = parts.map((): Figures[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, part] of parts.entries()) results[index]?.push(await runPart(part, gateway, seconds));
  }
  const medians = results.map((rows) => medianFigures(rows));
  const [ceiling] = medians;
  if (ceiling === undefined) throw new Error("no rounds");
  const rows = parts.map(({ name }, index) => figuresRow(name, medians[index] ?? ceiling, ceiling));
  const title =
    `accept, ${what}: ${rounds} interleaved rounds of ${seconds} s, 1 KB events, ${CONNECTIONS} connections (wrk; ${BATCH_CONNECTIONS} ` +
    "for batches), medians";
  return [figuresFinding(title, rows, "Rates and CPU are those of events, p50 and p99 those of requests.")];
}

async function runPart({ load, events, subject }: Part, gateway: Server | null, seconds: number): Promise<Figures> {
  const of = (figures: Figures): Figures => ({
    ...figures,
    rate: figures.rate * events,
    cpuUs: figures.cpuUs / events,
  });
  if (subject !== null) return of(await runSubject(subject.file, subject.environment, seconds, load));
  if (gateway === null) throw new Error("no gateway runs through all rounds");
  return of(await measureServer(gateway, seconds, load));
}

interface Server {
  readonly port: number;
  usage(): Usage;
}

export async function runSubject(
  file: string,
  environment: Readonly<Record<string, string>>,
  seconds: number,
  load: Wish = {},
): Promise<Figures> {
  await using subject = await startSubject(file, environment);
  const server = { port: Number(subject.hello["port"]), usage: () => subject.usage() };
  return await measureServer(server, seconds, load);
}

async function measureServer({ port, usage }: Server, seconds: number, wish: Wish): Promise<Figures> {
  await postEvents(port, WARM_UP_S, wish);
  const before = usage();
  const load = await postEvents(port, seconds, wish);
  const after = usage();
  return { ...load, cpuUs: (after.cpuUs - before.cpuUs) / load.count, rssMiB: after.rssMiB };
}

function single(name: string, file: string, environment: Readonly<Record<string, string>> = {}): Part {
  return { name, load: {}, events: 1, subject: { file, environment } };
}

function inBatches({ name, subject }: Part, priority: Priority, key: string): Part {
  const body = JSON.stringify({ events: Array.from({ length: BATCH }, () => eventOf(priority)) });
  const load = { key, body, connections: BATCH_CONNECTIONS, path: "/v1/events/batch" };
  return { name: `${name}, batches of ${BATCH}`, load, events: BATCH, subject };
}

function eventOf(priority: Priority) {
  return { type: "invoice.paid", priority, data: EVENT_DATA };
}
