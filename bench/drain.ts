/**
 * Backlogs over Redis and Kafka: events are accepted while no processor runs; the figure is how fast the one that starts then
 * delivers them, in each lane and LOW in groups, as a share of a bare loop of POSTs in the same run. The processor's own
 * start, until its first delivery, is not in it.
 */
import type { Priority } from "@posthaste/shared/domain/event.ts";
import type { DistributedBench } from "./distributed.ts";
import { openDistributedBench } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import { EVENT_DATA } from "./load.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject, usageOf } from "./subject-process.ts";

const BATCH = 1000;
const LOOPED = 20_000;
const CONNECTIONS = 64;
const GROUP = { max_events: 100, max_wait_ms: 1000 };

interface Lane {
  readonly name: string;
  readonly priority: Priority;
  readonly path: string;
  /** Of the endpoint: into groups, or none. */
  readonly batch: typeof GROUP | null;
}

const LANES: readonly Lane[] = [
  { name: "HIGH", priority: "HIGH", path: "/0", batch: null },
  { name: "MEDIUM", priority: "MEDIUM", path: "/1", batch: null },
  { name: "LOW", priority: "LOW", path: "/2", batch: null },
  { name: "LOW in groups", priority: "LOW", path: "/group", batch: GROUP },
];

interface Drained {
  readonly rate: number;
  readonly share: number;
  readonly cpuUs: number;
  readonly peakMiB: number;
}

/** `backlogs`: events of each, in the order they are run in each round. */
export async function benchDrain(wish: { rounds: number; backlogs: readonly number[] }): Promise<Finding[]> {
  const { rounds, backlogs } = wish;
  await using bench = await openDistributedBench({ gateways: 1, processors: 0 });
  await using sink = await startSubject("sink.ts");
  const sinkUrl = `http://127.0.0.1:${String(sink.hello["port"])}`;
  await using loop = await startSubject("bare-client.ts", { SINK: `${sinkUrl}/0` });
  for (const { path, batch } of LANES) {
    const wishes = { url: `${sinkUrl}${path}`, tenant: "load", event_types: [typeOf(path)] };
    await bench.post("/v1/endpoints", batch === null ? wishes : { ...wishes, batch });
  }
  const runs = backlogs.flatMap((backlog) => LANES.map((lane) => ({ backlog, lane, drained: [] as Drained[] })));
  const loops: number[] = [];
  await loop.ask(`fetch ${LOOPED} ${CONNECTIONS}`);
  for (let round = 0; round < rounds; round += 1) {
    const { ms } = await loop.ask(`fetch ${LOOPED} ${CONNECTIONS}`);
    const loopRate = (LOOPED * 1000) / Number(ms);
    loops.push(loopRate);
    for (const { backlog, lane, drained } of runs) drained.push(await drain(bench, sink, lane, backlog, loopRate));
  }
  const title = `drain: ${rounds} interleaved rounds, backlogs of 1 KB events that one new processor delivers, medians`;
  const header = ["subject", "delivered a second", "share of the loop", "spread", "own CPU us each", "peak MiB"];
  const bare = ["bare loop of POSTs", median(loops).toFixed(0), "1.00", "", "", ""];
  const rows = runs.map(({ backlog, lane, drained }) => rowOf(`${lane.name}, ${backlog} events`, drained));
  return [{ title, header, rows: [bare, ...rows], plotted: 2 }];
}

async function drain(
  bench: DistributedBench,
  sink: Subject,
  lane: Lane,
  backlog: number,
  loopRate: number,
): Promise<Drained> {
  const event = { type: typeOf(lane.path), priority: lane.priority, tenant: "load", data: EVENT_DATA };
  for (let sent = 0; sent < backlog; sent += BATCH) {
    await bench.post("/v1/events/batch", { events: Array.from({ length: BATCH }, () => event) });
  }
  await sink.ask("reset");
  const processor = await bench.add("processor");
  const { atMs: startedAtMs, count: first } = await sink.ask("wait 1");
  const { atMs: endedAtMs } = await sink.ask(`wait ${backlog}`);
  const { cpuUs, peakMiB } = usageOf(processor.pid);
  await bench.processors.shift()?.end("SIGTERM");
  const rate = ((backlog - Number(first)) * 1000) / (Number(endedAtMs) - Number(startedAtMs));
  return { rate, share: rate / loopRate, cpuUs: cpuUs / backlog, peakMiB };
}

function rowOf(name: string, drained: readonly Drained[]): readonly string[] {
  const of = (pick: (one: Drained) => number): number => median(drained.map(pick));
  const shares = drained.map(({ share }) => share);
  return [
    name,
    of(({ rate }) => rate).toFixed(0),
    median(shares).toFixed(3),
    spreadText(shares, 3),
    of(({ cpuUs }) => cpuUs).toFixed(0),
    of(({ peakMiB }) => peakMiB).toFixed(0),
  ];
}

/** Each lane's events go to its own endpoint alone. */
function typeOf(path: string): string {
  return `load.${path.slice(1)}`;
}
