/**
 * The whole at saturation: events are published as fast as they are taken, with delivery on. The share of accept is to an
 * echo server under the same load, that of the drain (from the first publish until all have arrived) to a loop that posts and does
 * nothing else. Each lane, and LOW in groups, in interleaved rounds of one run on the same programs.
 */
import type { Priority } from "@posthaste/shared/domain/event.ts";
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import { EVENT_DATA, postEvents, requireWrk } from "./load.ts";
import type { Published } from "./publish.ts";
import { addLoadKey, publishAtOnce } from "./publish.ts";
import type { Subject, Usage } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

const CONNECTIONS = 64;
/** Requests of the bare loop, whose rate does not depend on how many they are. */
const LOOPED = 20_000;
/** Before the first round, of each lane: the runtime compiles for about 25,000 events (`latency.ts`). */
const WARM_UP_S = 8;
const GROUP = { max_events: 100, max_wait_ms: 1000 };

interface Lane {
  readonly name: string;
  readonly priority: Priority;
  readonly isGrouped: boolean;
}

const PLAIN: Lane = { name: "embedded", priority: "MEDIUM", isGrouped: false };

const LANES: Readonly<Record<BenchSet, readonly Lane[]>> = {
  embedded: [PLAIN, { name: "embedded, LOW in groups", priority: "LOW", isGrouped: true }],
  distributed: [
    { name: "HIGH", priority: "HIGH", isGrouped: false },
    { name: "MEDIUM", priority: "MEDIUM", isGrouped: false },
    { name: "LOW", priority: "LOW", isGrouped: false },
    { name: "LOW in groups", priority: "LOW", isGrouped: true },
  ],
};

interface Round extends Published {
  readonly acceptShare: number;
  readonly drainShare: number;
}

interface Ceilings {
  readonly echoRate: number;
  readonly loopRate: number;
}

export async function benchSaturation(wish: { set: BenchSet; rounds: number; seconds: number }): Promise<Finding[]> {
  const { set, rounds, seconds } = wish;
  requireWrk();
  await using system = await openBenchSystem(set, {});
  await using sink = await startSubject("sink.ts");
  await using echo = await startSubject("echo.ts");
  await using loop = await startSubject("bare-client.ts", { SINK: `http://127.0.0.1:${String(sink.hello["port"])}/0` });
  const key = await addLoadKey(system, "load");
  const lanes = LANES[set];
  for (const lane of lanes) await addEndpoint(system, sink, lane);
  for (const lane of lanes) await publishAtOnce(system, sink, loadOf(key, lane), WARM_UP_S);
  const measured = new Map(lanes.map(({ name }) => [name, [] as Round[]]));
  const bare: Ceilings[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const ceilings = await runCeilings(echo, loop, key, seconds);
    bare.push(ceilings);
    for (const lane of lanes)
      measured.get(lane.name)?.push(sharesOf(await publishAtOnce(system, sink, loadOf(key, lane), seconds), ceilings));
  }
  const title =
    `saturation, ${set}: ${rounds} interleaved rounds of ${seconds} s, 1 KB events over ${CONNECTIONS} connections (wrk), ` +
    "medians; the least and the most beside them";
  return [acceptFinding(title, measured, bare), drainFinding(title, measured, bare), memoryFinding(system.usages())];
}

async function runCeilings(echo: Subject, loop: Subject, key: string, seconds: number): Promise<Ceilings> {
  const { rate } = await postEvents(Number(echo.hello["port"]), seconds, loadOf(key, PLAIN));
  const { ms } = await loop.ask(`fetch ${LOOPED} ${CONNECTIONS}`);
  return { echoRate: rate, loopRate: (LOOPED * 1000) / Number(ms) };
}

function sharesOf(published: Published, { echoRate, loopRate }: Ceilings): Round {
  const { acceptRate, drainRate } = published;
  return { ...published, acceptShare: acceptRate / echoRate, drainShare: drainRate / loopRate };
}

function loadOf(key: string, lane: Lane) {
  const body = JSON.stringify({ type: typeOf(lane), priority: lane.priority, data: EVENT_DATA });
  return { key, body, connections: CONNECTIONS };
}

function typeOf({ priority, isGrouped }: Lane): string {
  return `load.${priority.toLowerCase()}${isGrouped ? ".grouped" : ""}`;
}

async function addEndpoint({ post }: BenchSystem, sink: Subject, lane: Lane): Promise<void> {
  const url = `http://127.0.0.1:${String(sink.hello["port"])}/${lane.isGrouped ? "group" : "0"}`;
  const batch = lane.isGrouped ? { batch: GROUP } : {};
  await post("/v1/endpoints", { url, tenant: "load", event_types: [typeOf(lane)], ...batch });
}

type Measured = ReadonlyMap<string, readonly Round[]>;

function acceptFinding(title: string, measured: Measured, bare: readonly Ceilings[]): Finding {
  const cpuUs = (rounds: readonly Round[]): string => median(rounds.map((round) => round.cpuUs)).toFixed(0);
  const rows = [...measured].map(([name, rounds]) => [
    name,
    ...rateCells(rounds, "acceptRate", "acceptShare"),
    cpuUs(rounds),
  ]);
  const echoRate = median(bare.map((ceilings) => ceilings.echoRate)).toFixed(0);
  return {
    title: `${title}. Accept`,
    header: ["subject", "accepted a second", "share of echo", "spread", "own CPU us each"],
    rows: [["echo server", echoRate, "1.00", "", ""], ...rows],
    plotted: 2,
  };
}

function drainFinding(title: string, measured: Measured, bare: readonly Ceilings[]): Finding {
  const rows = [...measured].map(([name, rounds]) => [name, ...rateCells(rounds, "drainRate", "drainShare")]);
  const loopRate = median(bare.map((ceilings) => ceilings.loopRate)).toFixed(0);
  return {
    title: `${title}. Drain, from the first publish until all have arrived`,
    header: ["subject", "delivered a second", "share of the loop", "spread"],
    rows: [["bare loop of POSTs", loopRate, "1.00", ""], ...rows],
    plotted: 2,
  };
}

function rateCells(
  rounds: readonly Round[],
  rate: "acceptRate" | "drainRate",
  share: "acceptShare" | "drainShare",
): readonly string[] {
  const shares = rounds.map((round) => round[share]);
  return [median(rounds.map((round) => round[rate])).toFixed(0), median(shares).toFixed(3), spreadText(shares, 3)];
}

function memoryFinding(usages: readonly Usage[]): Finding {
  const names = usages.length === 1 ? ["the one process"] : ["gateway", "processor"];
  const rows = usages.map(({ peakMiB, rssMiB }, index) => [names[index] ?? "", peakMiB.toFixed(0), rssMiB.toFixed(0)]);
  return { title: "Memory of our own processes after all rounds", header: ["process", "peak MiB", "now MiB"], rows };
}
