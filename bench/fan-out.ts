/**
 * One event to 1, 10 and 1,000 endpoints of its tenant. At saturation: deliveries a second to a bare loop of POSTs of the same run. On an
 * idle system: from publish to the first and to the last arrival of one event, to a bare client that posts as often. In interleaved
 * rounds on the same programs.
 */
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { cpuUsOf, openBenchSystem } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import { EVENT_DATA } from "./load.ts";
import { publishInBatches } from "./publish.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

/** Endpoints of each tenant; those of one are the smallest fan-out. */
const WIDTHS = [1, 10, 1000] as const;
/** Of the bare loop. */
const IN_FLIGHT = 64;
/** After the last arrival, until what is written late is written. */
const SETTLE_MS = 500;
/** Between two events on an idle system. */
const PAUSE_MS = 50;

interface Round {
  /** Deliveries a second at saturation, and its share of the loop's. */
  readonly rate: number;
  readonly share: number;
  /** Of our processes together, a delivery. */
  readonly cpuUs: number;
  /** One event on an idle system; medians of the round. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** To a bare client that posts as often. */
  readonly lastRatio: number;
  /** Arrivals beyond one for each delivery. */
  readonly surplus: number;
}

export interface FanOutOptions {
  readonly set: BenchSet;
  readonly rounds: number;
  /** Of a round at saturation, whatever the width. */
  readonly deliveries: number;
  /** Events of a round on an idle system. */
  readonly single: number;
}

export async function benchFanOut({ set, rounds, deliveries, single }: FanOutOptions): Promise<Finding[]> {
  await using system = await openBenchSystem(set, {});
  await using sink = await startSubject("sink.ts");
  const sinkUrl = `http://127.0.0.1:${String(sink.hello["port"])}/0`;
  await using loop = await startSubject("bare-client.ts", { SINK: sinkUrl });
  for (const width of WIDTHS) await addTenant(system, width, sinkUrl);
  // Code in JavaScript needs events to be compiled.
  await loopRate(loop, deliveries);
  for (const width of WIDTHS) await saturate(system, sink, width, deliveries);
  const measured = new Map(WIDTHS.map((width) => [width as number, [] as Round[]]));
  const bareRates: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const bareRate = await loopRate(loop, deliveries);
    bareRates.push(bareRate);
    for (const width of WIDTHS) {
      const saturated = await saturate(system, sink, width, deliveries);
      const alone = await publishAlone(system, sink, loop, width, single);
      measured.get(width)?.push({ ...saturated, ...alone, share: saturated.rate / bareRate });
    }
  }
  const title = `fan-out, ${set}: ${rounds} interleaved rounds, 1 KB events, medians; the least and the most beside them`;
  return [
    saturationFinding(`${title}. Saturation, ${deliveries} deliveries published in batches`, measured, bareRates),
    idleFinding(`${title}. One event at a time on an idle system, ${single} a round`, measured),
  ];
}

/** Requests a second. */
async function loopRate(loop: Subject, requests: number): Promise<number> {
  const { ms } = await loop.ask(`fetch ${requests} ${IN_FLIGHT}`);
  return (requests * 1000) / Number(ms);
}

async function addTenant({ post }: BenchSystem, width: number, url: string): Promise<void> {
  for (let index = 0; index < width; index += 1) {
    await post("/v1/endpoints", { url, tenant: tenantOf(width), event_types: ["fan.out"] });
  }
}

/** From the first publish until all have arrived. */
async function saturate(
  system: BenchSystem,
  sink: Subject,
  width: number,
  deliveries: number,
): Promise<Pick<Round, "rate" | "cpuUs" | "surplus">> {
  await sink.ask("reset");
  const before = cpuUsOf(system.usages());
  const startedAtMs = performance.timeOrigin + performance.now();
  await publishInBatches(system, deliveries / width, () => eventFor(width));
  const { atMs } = await sink.ask(`wait ${deliveries}`);
  await Bun.sleep(SETTLE_MS);
  const cpuUs = (cpuUsOf(system.usages()) - before) / deliveries;
  const surplus = Number((await sink.ask("figures"))["count"]) - deliveries;
  return { rate: (deliveries * 1000) / (Number(atMs) - startedAtMs), cpuUs, surplus };
}

async function publishAlone(
  system: BenchSystem,
  sink: Subject,
  loop: Subject,
  width: number,
  events: number,
): Promise<Pick<Round, "firstMs" | "lastMs" | "lastRatio">> {
  const [firsts, lasts, bare]: [number[], number[], number[]] = [[], [], []];
  for (let event = 0; event < events; event += 1) {
    bare.push(Number((await loop.ask(`fetch ${width} ${Math.min(width, IN_FLIGHT)}`))["ms"]));
    await Bun.sleep(PAUSE_MS);
    await sink.ask("reset");
    await system.post("/v1/events", eventFor(width));
    await sink.ask(`wait ${width}`);
    const byPath = (await sink.ask("figures"))["latencies"] as Record<string, number[]>;
    const latencies = Object.values(byPath).flat();
    firsts.push(Math.min(...latencies));
    lasts.push(Math.max(...latencies));
  }
  return { firstMs: median(firsts), lastMs: median(lasts), lastRatio: median(lasts) / median(bare) };
}

function eventFor(width: number): object {
  const sentAtMs = performance.timeOrigin + performance.now();
  return { type: "fan.out", tenant: tenantOf(width), data: { sent_at: sentAtMs, ...EVENT_DATA } };
}

function tenantOf(width: number): string {
  return `fan-${width}`;
}

type Measured = ReadonlyMap<number, readonly Round[]>;

function saturationFinding(title: string, measured: Measured, bareRates: readonly number[]): Finding {
  const rows = [...measured].map(([width, rounds]) => [
    `${width} endpoints`,
    median(rounds.map(({ rate }) => rate)).toFixed(0),
    ...cells(rounds, ({ share }) => share, 3),
    ...cells(rounds, ({ cpuUs }) => cpuUs, 0),
  ]);
  const surplus = [...measured.values()].flat().reduce((sum, round) => sum + round.surplus, 0);
  return {
    title,
    header: ["subject", "deliveries a second", "share of the loop", "spread", "own CPU us each", "spread"],
    rows: [["bare loop of POSTs", median(bareRates).toFixed(0), "1.000", spreadText(bareRates, 0), "", ""], ...rows],
    plotted: 2,
    note: `All arrived; ${surplus} came more than once.`,
  };
}

function idleFinding(title: string, measured: Measured): Finding {
  const rows = [...measured].map(([width, rounds]) => [
    `${width} endpoints`,
    ...cells(rounds, ({ firstMs }) => firstMs, 2),
    ...cells(rounds, ({ lastMs }) => lastMs, 2),
    ...cells(rounds, ({ lastRatio }) => lastRatio, 2),
  ]);
  const header = ["subject", "first ms", "spread", "last ms", "spread", "last to bare", "spread"];
  return { title, header, rows, plotted: 5 };
}

/** The median of the rounds, and their least and most. */
function cells(rounds: readonly Round[], pick: (round: Round) => number, digits: number): readonly string[] {
  const values = rounds.map(pick);
  return [median(values).toFixed(digits), spreadText(values, digits)];
}
