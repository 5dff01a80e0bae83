/**
 * More endpoints and tenants cost those who are there nothing. Systems that hold 1,000, 10,000 and 100,000 endpoints, ten to a tenant, take the
 * same load of one tenant with one endpoint that matches: the figures are accept and drain to those at the least count, and
 * what a further endpoint takes of memory once each has had deliveries. In interleaved rounds, each after a restart.
 */
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { openBenchSystems } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import { EVENT_DATA, requireWrk } from "./load.ts";
import type { Published } from "./publish.ts";
import { addLoadKey, publishAtOnce, publishInBatches } from "./publish.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

const ENDPOINTS_PER_TENANT = 10;
/** Endpoints that are made at a time. */
const MAKERS = 64;
const CONNECTIONS = 64;
/** Before a round: code in JavaScript needs events to be compiled. */
const WARM_UP_S = 2;
/** After the last arrival, until what is written late is written and what is not needed is collected. */
const SETTLE_MS = 3000;

interface Grown {
  readonly count: number;
  readonly system: BenchSystem;
  /** Of the tenant that publishes. */
  readonly key: string;
  readonly makeS: number;
}

interface Round extends Published {
  readonly startS: number;
  /** Of each process, after all endpoints have had the same number of deliveries together. */
  readonly rssMiB: readonly number[];
}

export interface GrowthOptions {
  readonly set: BenchSet;
  readonly rounds: number;
  readonly seconds: number;
  /** Of endpoints, the least first. */
  readonly counts: readonly number[];
}

export async function benchGrowth({ set, rounds, seconds, counts }: GrowthOptions): Promise<Finding[]> {
  requireWrk();
  await using opened = await openBenchSystems(set, counts.length);
  await using sink = await startSubject("sink.ts");
  const all: Grown[] = [];
  for (const [index, system] of opened.systems.entries()) all.push(await grow(system, sink, counts[index] ?? 0));
  const deliveries = Math.max(...counts);
  const measured = all.map((): Round[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, grown] of all.entries()) measured[index]?.push(await runRound(grown, sink, deliveries, seconds));
  }
  const title = `growth, ${set}: ${rounds} interleaved rounds, ${ENDPOINTS_PER_TENANT} endpoints to a tenant`;
  return [
    rateFinding(`${title}, ${seconds} s of 1 KB events over ${CONNECTIONS} connections (wrk)`, all, measured),
    memoryFinding(
      `${title}. Memory after a restart and ${deliveries} deliveries, to all endpoints in turn`,
      all,
      measured,
    ),
    makingFinding(`${title}. Endpoints made over the API, ${MAKERS} at a time, and restarts`, all, measured),
  ];
}

async function grow(system: BenchSystem, sink: Subject, count: number): Promise<Grown> {
  const startedAtMs = performance.now();
  let made = 0;
  const make = async (): Promise<void> => {
    while (made < count) {
      const index = made;
      made += 1;
      const nth = index % ENDPOINTS_PER_TENANT;
      await system.post("/v1/endpoints", {
        url: `http://127.0.0.1:${String(sink.hello["port"])}/${nth}`,
        tenant: tenantOf(Math.floor(index / ENDPOINTS_PER_TENANT)),
        event_types: ["to.all", `to.${nth}`],
      });
    }
  };
  await Promise.all(Array.from({ length: MAKERS }, make));
  const makeS = (performance.now() - startedAtMs) / 1000;
  return { count, system, key: await addLoadKey(system, tenantOf(0)), makeS };
}

/** Memory first: load takes memory of its own. */
async function runRound(
  { system, count, key }: Grown,
  sink: Subject,
  deliveries: number,
  seconds: number,
): Promise<Round> {
  await system.stop("SIGTERM");
  const startedAtMs = performance.now();
  await system.start();
  const startS = (performance.now() - startedAtMs) / 1000;
  await sink.ask("reset");
  const tenants = count / ENDPOINTS_PER_TENANT;
  const eventOf = (index: number) => ({ type: "to.all", tenant: tenantOf(index % tenants), data: EVENT_DATA });
  await publishInBatches(system, deliveries / ENDPOINTS_PER_TENANT, eventOf);
  await sink.ask(`wait ${deliveries}`);
  await Bun.sleep(SETTLE_MS);
  const rssMiB = system.usages().map((usage) => usage.rssMiB);
  const body = JSON.stringify({ type: "to.0", data: EVENT_DATA });
  const load = { key, body, connections: CONNECTIONS };
  await publishAtOnce(system, sink, load, WARM_UP_S);
  return { ...(await publishAtOnce(system, sink, load, seconds)), startS, rssMiB };
}

function tenantOf(index: number): string {
  return `t${index}`;
}

function rateFinding(title: string, all: readonly Grown[], measured: readonly (readonly Round[])[]): Finding {
  const cells = (rounds: readonly Round[], pick: (round: Round) => number): readonly string[] => {
    const ratios = rounds.map((round, index) => pick(round) / pick(measured[0]?.[index] ?? round));
    return [median(rounds.map(pick)).toFixed(0), median(ratios).toFixed(2), spreadText(ratios)];
  };
  const rows = all.map(({ count }, index) => {
    const rounds = measured[index] ?? [];
    return [
      `${count} endpoints`,
      ...cells(rounds, ({ acceptRate }) => acceptRate),
      ...cells(rounds, ({ drainRate }) => drainRate),
      ...cells(rounds, ({ cpuUs }) => cpuUs),
    ];
  });
  const header = [
    "subject",
    "accepted a second",
    "to the least",
    "spread",
    "delivered a second",
    "to the least",
    "spread",
    "own CPU us each",
    "to the least",
    "spread",
  ];
  return { title, header, rows, plotted: 2 };
}

function memoryFinding(title: string, all: readonly Grown[], measured: readonly (readonly Round[])[]): Finding {
  const [least] = all;
  const names = measured[0]?.[0]?.rssMiB.length === 1 ? ["the one process"] : ["gateway", "processor"];
  const rows = all.flatMap(({ count }, index) =>
    names.map((name, nth) => {
      const ofRound = (round: Round | undefined): number => round?.rssMiB[nth] ?? Number.NaN;
      const rounds = measured[index] ?? [];
      const mib = rounds.map(ofRound);
      const further = rounds.map((round, at) => ofRound(round) - ofRound(measured[0]?.[at]));
      const each = further.map((more) => (more * 1024) / (count - (least?.count ?? 0)));
      const isLeast = index === 0;
      return [
        `${name}, ${count} endpoints`,
        median(mib).toFixed(0),
        spreadText(mib, 0),
        isLeast ? "" : median(each).toFixed(2),
        isLeast ? "" : spreadText(each),
      ];
    }),
  );
  return { title, header: ["process", "RSS MiB", "spread", "KiB a further endpoint", "spread"], rows };
}

function makingFinding(title: string, all: readonly Grown[], measured: readonly (readonly Round[])[]): Finding {
  const rows = all.map(({ count, makeS }, index) => {
    const starts = (measured[index] ?? []).map(({ startS }) => startS);
    return [
      `${count} endpoints`,
      makeS.toFixed(1),
      (count / makeS).toFixed(0),
      median(starts).toFixed(2),
      spreadText(starts),
    ];
  });
  return { title, header: ["subject", "made in s", "a second", "started in s", "spread"], rows };
}
