/**
 * `npm run bench [-- accept|deliver|islands|tenants] [--quick]`: prints ratios to the bare ceilings of the same run. Nothing is
 * asserted; a figure that depends on the machine is no test. Those of the distributed set, over Redis and Kafka, run when
 * they are named, and so do the long ones.
 */
import { join } from "node:path";
import { untilSignal } from "@posthaste/shared/runtime/entry.ts";
import { benchAccept } from "./accept.ts";
import { benchDashboard } from "./dashboard.ts";
import { benchDeliver } from "./deliver.ts";
import { benchDrain } from "./drain.ts";
import { benchDescriptors } from "./descriptors.ts";
import { benchColdStart, benchColdStartDistributed } from "./cold-start.ts";
import { benchFanOut } from "./fan-out.ts";
import { benchFootprint } from "./footprint.ts";
import { benchGrowth } from "./growth.ts";
import { benchIdle } from "./idle.ts";
import { benchIslands } from "./islands.ts";
import { benchLatency } from "./latency.ts";
import { benchPartition } from "./partition.ts";
import { benchPriority } from "./priority.ts";
import { benchRecovery } from "./recovery.ts";
import { benchRetries } from "./retries.ts";
import { benchRuntimes } from "./runtimes.ts";
import { benchSaturation } from "./saturation.ts";
import { benchScale } from "./scale.ts";
import { benchShard } from "./shard.ts";
import { benchStorm } from "./storm.ts";
import { benchTelemetry } from "./telemetry.ts";
import { benchTail } from "./tail.ts";
import { benchTenants } from "./tenants.ts";
import { withElapsedShown } from "./elapsed.ts";
import { findingText } from "./figures.ts";
import type { Claim } from "./report.ts";
import { writeReport } from "./report.ts";
import { readWords, refuseWords } from "../test/support/script-words.ts";

const HELP = `Usage: npm run bench [-- NAME...] [--quick]

  accept, deliver, islands, tenants     run when none is named: Posthaste in one process
  saturation                            publishing as fast as it is taken, with delivery on; about two minutes
  latency                               from publish to receiver at 200 events a second, and at half of what is carried; four minutes
  tail                                  twenty readers of the live tail take nothing from deliveries; about two minutes
  dashboard                             each page of the dashboard over a million events; about a quarter of an hour
  telemetry                             traces of everything to a collector, against none; about four minutes
  footprint                             bytes that an event and an endpoint take where they are kept; about two minutes
  descriptors                           what callers hold takes nothing from deliveries; about a minute
  growth                                accept, drain and memory with 1,000 to 100,000 endpoints; about ten minutes
  cold-start                            from spawn to the first 202 and the first delivery, with and without a history; about two minutes
  fan-out                               one event to 1, 10 and 1,000 endpoints; about two minutes
  storm                                 retries of twenty endpoints that fail at once, beside one that is well; about five minutes
  recovery                              when the last event arrives at an endpoint that was in trouble; about eight minutes
  priority, partition, retries, idle, scale, shard, accept-distributed, drain-distributed, saturation-distributed, latency-distributed,
  tenants-distributed, tail-distributed, storm-distributed, recovery-distributed, growth-distributed, cold-start-distributed,
  fan-out-distributed, dashboard-distributed, footprint-distributed
                                        over Redis and Kafka, which are started unless REDIS_URL and KAFKA_BROKERS name some;
                                        scale and dashboard-distributed take about half an hour
  runtimes                              the gateway on each runtime, over those; about five minutes; npm test installs the runtimes
  --quick                               one short round in place of five
  --out FOLDER                          where the report goes (bench/results); nowhere when it is empty

accept, saturation, latency, telemetry and runtimes need wrk, which is installed by apt-get when it is missing (as root on Debian and its kin), saying so. Redis and Kafka
are those of npm run services, which names what it installs first.

Prints ratios to the bare ceilings of the same run, and judges nothing. All load goes to this machine. The report is a folder with
report.json and report.html: the same figures with plots, the machine, the versions and the commit.
`;
const DEFAULT_OUT = join(import.meta.dirname, "results");
const { values, positionals: names } = readWords({
  help: HELP,
  options: { quick: { type: "boolean", default: false }, out: { type: "string", default: DEFAULT_OUT } },
  takesNames: true,
});

// Subjects, wrk and programs that a bench started end with it.
void untilSignal().then(() => process.exit(1));

const isQuick = values.quick;
const rounds = isQuick ? 1 : 5;

const tenants = { rounds, seconds: isQuick ? 10 : 20, backlog: isQuick ? 5000 : 10_000 };

const accept = { rounds, seconds: isQuick ? 2 : 4 };

const tail = { rounds, seconds: isQuick ? 5 : 10 };

const saturation = { rounds, seconds: isQuick ? 2 : 4 };

const latency = { rounds, seconds: isQuick ? 4 : 10 };

const growth = {
  rounds: isQuick ? 1 : 3,
  seconds: isQuick ? 2 : 4,
  counts: isQuick ? [1000, 10_000] : [1000, 10_000, 100_000],
};

const coldStart = { rounds, history: isQuick ? 10_000 : 100_000 };

const fanOut = { rounds, deliveries: isQuick ? 20_000 : 40_000, single: isQuick ? 10 : 20 };

const storm = { rounds: isQuick ? 1 : 3, events: isQuick ? 1000 : 5000, seconds: isQuick ? 10 : 20 };

const recovery = { rounds: isQuick ? 1 : 3, failS: isQuick ? 15 : 45, answerMs: isQuick ? 1000 : 5000 };

const dashboard = {
  events: isQuick ? 50_000 : 1_000_000,
  repeats: isQuick ? 5 : 20,
  rounds: isQuick ? 1 : 5,
  seconds: isQuick ? 5 : 20,
};

const footprint = { events: isQuick ? 5000 : 20_000 };

const benches = {
  accept: () => benchAccept({ set: "embedded", ...accept }),
  deliver: () => benchDeliver({ rounds, events: isQuick ? 20_000 : 40_000 }),
  islands: () => benchIslands({ rounds, seconds: isQuick ? 5 : 20 }),
  tenants: () => benchTenants({ set: "embedded", ...tenants }),
};
const distributed = {
  priority: () => benchPriority({ rounds, events: isQuick ? 200 : 300, backlog: isQuick ? 50_000 : 200_000 }),
  partition: () => benchPartition({ rounds: isQuick ? 1 : 3, events: isQuick ? 5000 : 10_000, rate: 500 }),
  retries: () => benchRetries({ delaysS: isQuick ? [7] : [7, 90] }),
  "accept-distributed": () => benchAccept({ set: "distributed", ...accept }),
  "drain-distributed": () => benchDrain({ rounds: isQuick ? 1 : 3, backlogs: isQuick ? [5000] : [20_000, 200_000] }),
  "saturation-distributed": () => benchSaturation({ set: "distributed", ...saturation }),
  "latency-distributed": () => benchLatency({ set: "distributed", ...latency }),
  "tenants-distributed": () => benchTenants({ set: "distributed", ...tenants }),
  "storm-distributed": () => benchStorm({ set: "distributed", ...storm }),
  "recovery-distributed": () => benchRecovery({ set: "distributed", ...recovery }),
  "tail-distributed": () => benchTail({ set: "distributed", ...tail }),
  "growth-distributed": () => benchGrowth({ set: "distributed", ...growth }),
  "cold-start-distributed": () => benchColdStartDistributed(coldStart),
  "fan-out-distributed": () => benchFanOut({ set: "distributed", ...fanOut }),
  "dashboard-distributed": () => benchDashboard({ set: "distributed", ...dashboard }),
  "footprint-distributed": () => benchFootprint({ set: "distributed", ...footprint }),
  runtimes: () => benchRuntimes({ rounds: isQuick ? 1 : 3, seconds: isQuick ? 3 : 6 }),
  scale: () => benchScale({ rounds: isQuick ? 1 : 3, events: isQuick ? 1000 : 2000 }),
  shard: () => benchShard({ rounds: isQuick ? 1 : 3, events: isQuick ? 8000 : 20_000 }),
  idle: () => benchIdle({ seconds: isQuick ? 10 : 30 }),
};
const descriptors = () => benchDescriptors({ origins: isQuick ? 1000 : 5000, idle: isQuick ? [400] : [400, 2000] });
const telemetry = () => benchTelemetry({ rounds, seconds: isQuick ? 2 : 4, events: isQuick ? 20_000 : 40_000 });
const long = {
  saturation: () => benchSaturation({ set: "embedded", ...saturation }),
  latency: () => benchLatency({ set: "embedded", ...latency }),
  storm: () => benchStorm({ set: "embedded", ...storm }),
  recovery: () => benchRecovery({ set: "embedded", ...recovery }),
};
const all = {
  ...benches,
  ...long,
  telemetry,
  tail: () => benchTail({ set: "embedded", ...tail }),
  descriptors,
  growth: () => benchGrowth({ set: "embedded", ...growth }),
  dashboard: () => benchDashboard({ set: "embedded", ...dashboard }),
  footprint: () => benchFootprint({ set: "embedded", ...footprint }),
  "cold-start": () => benchColdStart(coldStart),
  "fan-out": () => benchFanOut({ set: "embedded", ...fanOut }),
  ...distributed,
};

const chosen = names.length === 0 ? Object.keys(benches) : names;
const wanted = chosen.map((name) => {
  const bench = Object.entries(all).find(([known]) => known === name);
  return bench ?? refuseWords(HELP, `no bench named ${name}; there are ${Object.keys(all).join(", ")}`);
});

const startedAt = new Date();
const claims: Claim[] = [];
for (const [name, run] of wanted) {
  const since = performance.now();
  const findings = await withElapsedShown(name, run());
  for (const finding of findings) process.stdout.write(`${findingText(finding)}\n`);
  claims.push({ name, seconds: Math.round((performance.now() - since) / 1000), findings });
}
const words = process.argv.slice(2);
const command = ["npm run bench", ...(words.length === 0 ? [] : ["--", ...words])].join(" ");
if (values.out !== "") {
  const path = await writeReport(values.out, { command, startedAt, claims });
  process.stdout.write(`\nThe report is ${join(path, "report.html")}\n`);
}
