/**
 * From the spawn of a program to its first 202 and to the first delivery that arrives, on new stores and on such as have a history, to the
 * first answer of a bare server of the same run. Each start is one of a new process; rounds are interleaved.
 */
import type { BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import type { DistributedBench, Post } from "./distributed.ts";
import { openBenchServices, openDistributedBench, openProbe, poster } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import { EVENT_BODY, EVENT_DATA } from "./load.ts";
import { publishInBatches } from "./publish.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";
import { within } from "./within.ts";

/** A start, its first answer, or its first delivery: a hundred times what they take. */
const STEP_S_MAX = 60;

interface Start {
  /** From spawn to the first 202; of the bare server to its answer. */
  readonly answeredMs: number;
  /** From spawn to the first delivery. */
  readonly arrivedMs: number;
}

export interface ColdStartOptions {
  readonly rounds: number;
  /** Events that were delivered before. */
  readonly history: number;
}

type Probe = ReturnType<typeof openProbe>;

export async function benchColdStart({ rounds, history }: ColdStartOptions): Promise<Finding[]> {
  await using probe = openProbe();
  await using sink = await startSubject("sink.ts");
  await using system = await openBenchSystem("embedded", {});
  await fill(system, sink, history);
  await addProbe(system.post, probe);
  // What is read from the disk once is in memory from then on.
  await startBare();
  await startFresh(probe);
  const starts = { bare: [] as Start[], fresh: [] as Start[], old: [] as Start[], killed: [] as Start[] };
  for (let round = 0; round < rounds; round += 1) {
    starts.bare.push(await startBare());
    starts.fresh.push(await startFresh(probe));
    starts.old.push(await startAgain(system, probe, "SIGTERM"));
    starts.killed.push(await startAgain(system, probe, "SIGKILL"));
  }
  const title = `cold-start, embedded: ${rounds} interleaved rounds, from spawn; medians, ratios by round`;
  const rows = [
    rowOf("bare Bun.serve", starts.bare, starts.bare),
    rowOf("serve, new folder", starts.fresh, starts.bare),
    rowOf(`serve, ${history} events in its history`, starts.old, starts.bare),
    rowOf("the same, killed before", starts.killed, starts.bare),
  ];
  const note = "The first delivery on a new folder waits for the making of its endpoint, too.";
  return [{ title, header: HEADER, rows, plotted: 2, note }];
}

/** A gateway beside one that runs, and the only processor, with an event that waits for it. */
export async function benchColdStartDistributed({ rounds, history }: ColdStartOptions): Promise<Finding[]> {
  await using services = await openBenchServices();
  await using probe = openProbe();
  await using sink = await startSubject("sink.ts");
  await using fresh = await openDistributedBench({ gateways: 1, processors: 1, services });
  await using old = await openDistributedBench({ gateways: 1, processors: 1, services });
  await fill(old, sink, history);
  for (const { post } of [fresh, old]) await addProbe(post, probe);
  const subjects = [
    { name: "new", bench: fresh },
    { name: `${history} events in its history`, bench: old },
  ].map((subject) => ({ ...subject, gateway: [] as Start[], processor: [] as Start[] }));
  await startBare();
  const bare: Start[] = [];
  for (let round = 0; round < rounds; round += 1) {
    bare.push(await startBare());
    for (const { bench, gateway, processor } of subjects) {
      gateway.push(await startGateway(bench, probe));
      processor.push(await startProcessor(bench, probe));
    }
  }
  const title = `cold-start, distributed: ${rounds} interleaved rounds, from spawn; medians, ratios by round`;
  const rows = subjects.flatMap(({ name, gateway, processor }) => [
    rowOf(`gateway, ${name}`, gateway, bare),
    rowOf(`processor, ${name}`, processor, bare),
  ]);
  const note =
    "A gateway starts beside a processor; a processor has an event of MEDIUM before it, and takes the place of one that ended.";
  return [{ title, header: HEADER, rows: [rowOf("bare Bun.serve", bare, bare), ...rows], plotted: 2, note }];
}

/** All delivered before it resolves. */
async function fill(system: Pick<BenchSystem, "post">, sink: Subject, events: number): Promise<void> {
  await system.post("/v1/endpoints", {
    url: `http://127.0.0.1:${String(sink.hello["port"])}/0`,
    tenant: "history",
    event_types: ["history"],
  });
  const event = { type: "history", tenant: "history", data: EVENT_DATA };
  await publishInBatches(system, events, () => event);
  await sink.ask(`wait ${events}`);
}

async function addProbe(post: Post, probe: Probe): Promise<void> {
  await post("/v1/endpoints", { url: probe.url, event_types: ["probe"] });
}

async function startBare(): Promise<Start> {
  const spawnedAt = performance.now();
  await using echo = await startSubject("echo.ts");
  const answer = await fetch(`http://127.0.0.1:${String(echo.hello["port"])}/`, { method: "POST", body: EVENT_BODY });
  await answer.text();
  return { answeredMs: performance.now() - spawnedAt, arrivedMs: Number.NaN };
}

async function startFresh(probe: Probe): Promise<Start> {
  const spawnedAt = performance.now();
  await using system = await openBenchSystem("embedded", {});
  await publishProbe(system.post);
  const answeredMs = performance.now() - spawnedAt;
  await addProbe(system.post, probe);
  return { answeredMs, arrivedMs: (await arrival(probe, await publishProbe(system.post))) - spawnedAt };
}

async function startAgain(system: BenchSystem, probe: Probe, signal: NodeJS.Signals): Promise<Start> {
  await system.stop(signal);
  const spawnedAt = performance.now();
  await system.start();
  const id = await publishProbe(system.post);
  const answeredMs = performance.now() - spawnedAt;
  return { answeredMs, arrivedMs: (await arrival(probe, id)) - spawnedAt };
}

async function startGateway(bench: DistributedBench, probe: Probe): Promise<Start> {
  const spawnedAt = performance.now();
  const gateway = await within(STEP_S_MAX, "The start of a gateway", bench.add("gateway"));
  const id = await publishProbe(poster(gateway.url, bench.operatorKey));
  const answeredMs = performance.now() - spawnedAt;
  const arrivedMs = (await arrival(probe, id)) - spawnedAt;
  bench.gateways.pop();
  await within(STEP_S_MAX, "The end of a gateway", gateway.end("SIGTERM"));
  return { answeredMs, arrivedMs };
}

async function startProcessor(bench: DistributedBench, probe: Probe): Promise<Start> {
  const ended = bench.processors.pop()?.end("SIGTERM");
  if (ended !== undefined) await within(STEP_S_MAX, "The end of a processor", ended);
  const id = await publishProbe(bench.post);
  const spawnedAt = performance.now();
  const arrived = arrival(probe, id);
  await within(STEP_S_MAX, "The start of a processor", bench.add("processor"));
  return { answeredMs: Number.NaN, arrivedMs: (await arrived) - spawnedAt };
}

/** Accepted when it resolves with its id. */
async function publishProbe(post: Post): Promise<string> {
  const accepted = await post("/v1/events", { type: "probe", data: EVENT_DATA });
  return String(accepted["id"]);
}

function arrival(probe: Probe, id: string): Promise<number> {
  return within(STEP_S_MAX, "The first delivery", probe.arrival(id));
}

const HEADER = ["subject", "first answer ms", "to bare", "spread", "first delivery ms", "to bare", "spread"];

/** Nothing where it has no such figure. */
function rowOf(name: string, starts: readonly Start[], bare: readonly Start[]): readonly string[] {
  const cells = (pick: (start: Start) => number): readonly string[] => {
    const values = starts.map(pick);
    const ratios = values.map((value, index) => value / (bare[index]?.answeredMs ?? Number.NaN));
    return values.some(Number.isNaN)
      ? ["", "", ""]
      : [median(values).toFixed(0), median(ratios).toFixed(1), spreadText(ratios, 1)];
  };
  return [name, ...cells(({ answeredMs }) => answeredMs), ...cells(({ arrivedMs }) => arrivedMs)];
}
