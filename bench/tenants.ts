/**
 * One tenant cannot stop the others. A small tenant publishes over the API at each priority, alone and beside tenants
 * that flood: `hanging` has a thousand endpoints that never answer, `silent` has endpoints in zones that no name server
 * answers for, `slow` sends requests that never finish their bodies, `reader` reads the largest lists and `changer` changes one
 * endpoint of a thousand, both over and over. The figure is the small one's p99 from publish to arrival, beside them to alone,
 * in interleaved rounds.
 */
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import { openProbe } from "./distributed.ts";
import { CHANGERS, READERS, UNFINISHED } from "./load.ts";
import type { Finding } from "./figures.ts";
import { median, percentile } from "./figures.ts";
import { startSubject } from "./subject-process.ts";
import { openNameServer } from "../test/support/name-server.ts";

const HANGING_ENDPOINTS = 1000;
const SILENT_ENDPOINTS = 60;
/** Events a second of the small tenant at each priority, and seconds of them that do not count. */
const RATE = 20;
const WARM_UP_S = 5;
const WARM_UP_EVENTS = 2000;
const PRIORITIES = Priority.options;

type Latencies = Readonly<Record<Priority, number[]>>;

export interface TenantsOptions {
  readonly set: "embedded" | "distributed";
  readonly rounds: number;
  /** Of each part of a round. */
  readonly seconds: number;
  /** Events of each priority that each of the two with endpoints publishes in a part of a round. */
  readonly backlog: number;
}

export async function benchTenants(wish: TenantsOptions): Promise<Finding[]> {
  const measured = new Map(Object.keys(PARTS).map((part) => [part, [] as Latencies[]]));
  for (let round = 0; round < wish.rounds; round += 1) {
    for (const [part, floods] of Object.entries(PARTS)) measured.get(part)?.push(await measureBeside(floods, wish));
  }
  const { set, rounds, seconds, backlog } = wish;
  const title =
    `tenants, ${set}: ${rounds} interleaved rounds, ${seconds} s each of ${RATE} events a second of a small tenant at each priority, alone ` +
    `and beside others. hanging, silent: up to ${backlog} events of each priority, 1,000 a second, for ${HANGING_ENDPOINTS} endpoints that hang, for ` +
    `${SILENT_ENDPOINTS} in zones without an answer. slow: ${UNFINISHED} unfinished bodies. reader: ${READERS} at once. changer: ${CHANGERS} at once. Medians of the rounds`;
  return [{ title, ...figuresOf(measured) }];
}

type Flood = "hanging" | "silent" | "slow" | "reader" | "changer";

const FLOODS: readonly Flood[] = ["hanging", "silent", "slow", "reader", "changer"];
const PARTS: Readonly<Record<string, readonly Flood[]>> = {
  alone: [],
  ...Object.fromEntries(FLOODS.map((flood) => [flood, [flood]])),
  all: FLOODS,
};

/** On programs of their own: what a flood leaves behind goes on for hours. */
async function measureBeside(floods: readonly Flood[], { set, seconds, backlog }: TenantsOptions): Promise<Latencies> {
  let isSilent = false;
  await using names = await openNameServer(() => (isSilent ? null : { code: 3 }));
  await using system = await openBenchSystem(set, { POSTHASTE_NAME_SERVERS: names.address });
  await using probe = openProbe();
  await using sink = await startSubject("sink.ts");
  await sink.ask("reset /hang");
  const small = await addTenant(system, "small", 0, String);
  await system.post("/v1/endpoints", { url: probe.url, tenant: "small", event_types: ["probe"] });
  const hangingUrl = (index: number): string => `http://127.0.0.1:${String(sink.hello["port"])}/${index}/hang`;
  const hanging = await addTenant(system, "hanging", HANGING_ENDPOINTS, hangingUrl);
  const silent = await addTenant(system, "silent", SILENT_ENDPOINTS, (index) => `http://h.z${index}.silent.test/`);
  const slow = await addTenant(system, "slow", 0, String);
  const reader = await addKey(system, "hanging");
  isSilent = true;
  // In a process of their own, whose work delays no measurement.
  await using flooder = await startSubject("flooder.ts", { URL: system.url });
  const commands: Readonly<Record<Flood, string>> = {
    hanging: `publish ${hanging.key} ${hanging.endpoints} ${backlog}`,
    silent: `publish ${silent.key} ${silent.endpoints} ${backlog}`,
    slow: `hold ${slow.key}`,
    reader: `read ${reader}`,
    changer: `change ${reader}`,
  };
  // Code in JavaScript needs its work to be compiled: batches too, of events that nobody takes.
  await flooder.ask(`publish ${(await addTenant(system, "warm", 0, String)).key} 1 ${WARM_UP_EVENTS}`);
  await publishSmall(system, small.key, probe, WARM_UP_S);
  await flooder.ask("stop");
  for (const flood of floods) await flooder.ask(commands[flood]);
  return await publishSmall(system, small.key, probe, seconds);
}

function figuresOf(measured: ReadonlyMap<string, readonly Latencies[]>): Omit<Finding, "title"> {
  const figure = (name: string, priority: Priority, share: number): number =>
    median((measured.get(name) ?? []).map((latencies) => percentile(latencies[priority], share)));
  const rows = [...measured.keys()].map((name) => [
    name,
    ...PRIORITIES.flatMap((priority) => [
      figure(name, priority, 0.5).toFixed(1),
      figure(name, priority, 0.99).toFixed(1),
      (figure(name, priority, 0.99) / figure("alone", priority, 0.99)).toFixed(2),
    ]),
  ]);
  const columns = PRIORITIES.flatMap((priority) => [`${priority} p50 ms`, "p99 ms", "ratio"]);
  return { header: ["beside", ...columns], rows, plotted: 2 };
}

interface Tenant {
  readonly key: string;
  readonly endpoints: number;
}

/** A key of the tenant's own: shares are by key and tenant. */
async function addKey({ post }: BenchSystem, tenant: string): Promise<string> {
  const made = await post("/v1/api-keys", { name: tenant, tenant, scopes: ["publish", "read", "manage"] });
  return String(made["key"]);
}

async function addTenant(
  system: BenchSystem,
  tenant: string,
  endpoints: number,
  url: (index: number) => string,
): Promise<Tenant> {
  for (let index = 0; index < endpoints; index += 1) {
    await system.post("/v1/endpoints", { url: url(index), tenant, event_types: [`to.${index}`] });
  }
  return { key: await addKey(system, tenant), endpoints };
}

/** At a constant rate, whatever arrives when; resolves when all have arrived. */
async function publishSmall(
  { post }: BenchSystem,
  key: string,
  probe: ReturnType<typeof openProbe>,
  seconds: number,
): Promise<Latencies> {
  const latencies: Latencies = { HIGH: [], MEDIUM: [], LOW: [] };
  const publish = async (priority: Priority): Promise<void> => {
    const startedAt = performance.now();
    const accepted = await post("/v1/events", { type: "probe", priority, data: {} }, key);
    latencies[priority].push((await probe.arrival(String(accepted["id"]))) - startedAt);
  };
  const arrivals: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let event = 0; event < RATE * seconds; event += 1) {
    const waitMs = startedAt + (event * 1000) / RATE - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    arrivals.push(...PRIORITIES.map(publish));
  }
  await Promise.all(arrivals);
  return latencies;
}
