/**
 * A dashboard over a million events. Each page is opened, as a browser that is signed in opens it, over an empty ledger, over one whose events
 * are spread over twenty hours, and over one whose events all have one millisecond: the figures are the ms of each page and its ratio to the empty
 * ledger. Then a light load is delivered beside somebody who opens these pages all the time, and beside nobody, in turns.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { cpuUsOf, openBenchSystem } from "./bench-system.ts";
import { openBenchServices } from "./distributed.ts";
import { pathsOf } from "./dashboard-pages.ts";
import type { Finding } from "./figures.ts";
import { median, percentile, spreadText } from "./figures.ts";
import { addLoadKey } from "./publish.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

export interface DashboardOptions {
  readonly set: BenchSet;
  readonly events: number;
  /** Of each page. */
  readonly repeats: number;
  /** Of the load beside, in turns. */
  readonly rounds: number;
  readonly seconds: number;
}

/** One endpoint each; the first has a tenth of all events besides. */
const TENANTS = 100;
/** A shard of Redis keeps 512 MiB, about 200,000 of these events: a million takes several. */
const SHARDS = 16;
const RATE = 100;
/** Who is beside the load. */
const PACES = [
  { name: "nobody", everyMs: null },
  { name: "somebody, a page a second", everyMs: 1000 },
  { name: "somebody, page after page", everyMs: 0 },
] as const;
const WARM_UP = { repeats: 5, seconds: 5 };

const SHAPES = ["spread", "burst"] as const;
type Shape = "empty" | (typeof SHAPES)[number];

/** Of one page. */
interface Opened {
  readonly ms: readonly number[];
  /** Of our processes, each time. */
  readonly cpuMs: number;
}
type Times = ReadonlyMap<Shape, Map<string, Opened>>;

interface Ledger {
  readonly shape: Shape;
  readonly system: BenchSystem;
  readonly looker: Subject;
  readonly kept: number;
  readonly fillS: number;
  /** By the name of the page. */
  readonly paths: ReadonlyMap<string, string>;
}

export async function benchDashboard(wish: DashboardOptions): Promise<Finding[]> {
  const { set, repeats } = wish;
  await using opening = new AsyncDisposableStack();
  const services = set === "embedded" ? undefined : opening.use(await openBenchServices());
  const sink = opening.use(await startSubject("sink.ts"));
  const ledgers: Ledger[] = [];
  for (const shape of ["empty", ...SHAPES] as const) {
    const system = opening.use(await openSystem(set, opening, services));
    ledgers.push(await prepare(shape, system, { wish, sink, opening }));
  }
  const times: Times = new Map(ledgers.map(({ shape }) => [shape, new Map<string, Opened>()]));
  for (const name of ledgers[1]?.paths.keys() ?? []) {
    for (const { shape, system, looker, paths } of ledgers) {
      const path = paths.get(name) ?? "";
      await looker.ask(`time ${WARM_UP.repeats} ${path}`);
      const before = cpuUsOf(system.usages());
      const { ms } = await looker.ask(`time ${repeats} ${path}`);
      const cpuMs = (cpuUsOf(system.usages()) - before) / 1000 / repeats;
      times.get(shape)?.set(name, { ms: ms as number[], cpuMs });
    }
  }
  const beside: Finding[] = [];
  for (const ledger of ledgers.slice(1)) beside.push(await measureBeside(ledger, sink, wish));
  return [pagesFinding(wish, ledgers, times), ...beside];
}

async function openSystem(
  set: BenchSet,
  opening: AsyncDisposableStack,
  services: Awaited<ReturnType<typeof openBenchServices>> | undefined,
): Promise<BenchSystem> {
  const masterKey = { POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64") };
  if (set === "distributed")
    return await openBenchSystem(set, { ...masterKey, REDIS_SHARDS: String(SHARDS) }, services);
  const folder = mkdtempSync(join(tmpdir(), "posthaste-bench-"));
  opening.defer(() => rmSync(folder, { recursive: true, force: true }));
  return await openBenchSystem(set, { ...masterKey, POSTHASTE_DATA: folder });
}

async function prepare(
  shape: Shape,
  system: BenchSystem,
  { wish, sink, opening }: { wish: DashboardOptions; sink: Subject; opening: AsyncDisposableStack },
): Promise<Ledger> {
  const url = `http://127.0.0.1:${String(sink.hello["port"])}/0`;
  const endpoints: string[] = [];
  for (let index = 0; index < TENANTS; index += 1) {
    const made = await system.post("/v1/endpoints", { url, tenant: `t${index}`, event_types: ["order.*"] });
    endpoints.push(`t${index}/${String(made["id"])}`);
  }
  await system.post("/v1/endpoints", { url, tenant: "probe", event_types: ["probe"] });
  const wanted = shape === "empty" ? 0 : wish.events;
  const startedAtMs = performance.now();
  const kept = wanted === 0 ? 0 : await fill(wish.set, system, `fill ${wanted} ${shape}`, endpoints);
  const fillS = (performance.now() - startedAtMs) / 1000;
  const scopes = ["read", "manage"];
  const { key } = await system.post("/v1/api-keys", { name: "looker", tenant: "operator", scopes });
  const looker = opening.use(await startSubject("looker.ts", { URL: system.url, KEY: String(key) }));
  return { shape, system, looker, kept, fillS, paths: await pathsOf(system, looker, endpoints[0] ?? "", String(key)) };
}

/** While nothing else has its file open, where it is a file. */
async function fill(set: BenchSet, system: BenchSystem, line: string, endpoints: readonly string[]): Promise<number> {
  if (set === "embedded") await system.stop("SIGTERM");
  const env = { ...system.settings, SET: set, ENDPOINTS: endpoints.join(",") };
  const kept = await (async () => {
    await using history = await startSubject("history.ts", env);
    return Number((await history.ask(line))["kept"]);
  })();
  if (set === "embedded") await system.start();
  return kept;
}

async function measureBeside(
  { shape, system, looker, paths, kept }: Ledger,
  sink: Subject,
  { set, rounds, seconds }: DashboardOptions,
): Promise<Finding> {
  const key = await addLoadKey(system, "probe");
  const url = `http://127.0.0.1:${String(sink.hello["port"])}/0`;
  await using publisher = await startSubject("publisher.ts", { URL: system.url, SINK: url, KEY: key });
  const offer = async (forS: number): Promise<readonly number[]> => {
    await sink.ask("reset");
    const arrived = sink.ask(`wait ${RATE * forS}`);
    await publisher.ask(`offer ${RATE * forS} ${RATE} MEDIUM`);
    await arrived;
    return Object.values((await sink.ask("figures"))["latencies"] as Record<string, number[]>).flat();
  };
  await offer(WARM_UP.seconds);
  const parts = PACES.map((pace) => ({ ...pace, latencies: [] as number[][], opened: [] as number[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { everyMs, latencies, opened } of parts) {
      if (everyMs !== null) await looker.ask(`look ${everyMs} ${[...paths.values()].join(" ")}`);
      latencies.push([...(await offer(seconds))]);
      opened.push(everyMs === null ? 0 : Number((await looker.ask("stop"))["opened"]));
    }
  }
  const alone = parts[0]?.latencies.map((latencies) => percentile(latencies, 0.99)) ?? [];
  const rows = parts.map(({ name, latencies, opened }) => {
    const of = (share: number) => latencies.map((each) => percentile(each, share));
    const ratios = of(0.99).map((p99, round) => p99 / (alone[round] ?? p99));
    const figures = [median(of(0.5)).toFixed(1), median(of(0.99)).toFixed(1), median(ratios).toFixed(2)];
    return [name, ...figures, spreadText(ratios), (median(opened) / seconds).toFixed(1)];
  });
  const header = ["beside", "p50 ms", "p99 ms", "p99 ratio", "spread", "pages opened a second"];
  const title = `dashboard, ${set}: ${RATE} events a second for ${seconds} s, from when each was to be published to its arrival, over ${kept} events (${shape}); ${rounds} interleaved rounds, medians`;
  return { title, header, rows, plotted: header.indexOf("p99 ratio") };
}

function pagesFinding({ set, events, repeats }: DashboardOptions, ledgers: readonly Ledger[], times: Times): Finding {
  const openedOf = (shape: Shape, name: string): Opened => times.get(shape)?.get(name) ?? { ms: [], cpuMs: Number.NaN };
  const rows = [...(ledgers[1]?.paths.keys() ?? [])].map((name) => {
    const empty = median(openedOf("empty", name).ms);
    const cells = (shape: Shape): readonly string[] => {
      const { ms, cpuMs } = openedOf(shape, name);
      return [median(ms).toFixed(1), Math.max(...ms).toFixed(1), (median(ms) / empty).toFixed(1), cpuMs.toFixed(1)];
    };
    return [name, empty.toFixed(1), ...SHAPES.flatMap(cells)];
  });
  const title = `dashboard, ${set}: ${repeats} times each page, from the request to its last byte, over an empty ledger, ${events} events spread over 20 hours, and as many of one millisecond`;
  const note = ledgers
    .filter(({ shape }) => shape !== "empty")
    .map(({ shape, kept, fillS, system }) => {
      const mib = system.usages().map(({ rssMiB }) => rssMiB.toFixed(0));
      return `${shape}: ${kept} kept, filled in ${fillS.toFixed(0)} s, ${mib.join(" and ")} MiB RSS afterwards`;
    });
  const header = ["page", "empty ms", ...SHAPES.flatMap((shape) => [`${shape} ms`, "worst", "ratio", "own CPU ms"])];
  return { title, header, rows, plotted: header.indexOf("ratio"), note: note.join("; ") };
}
