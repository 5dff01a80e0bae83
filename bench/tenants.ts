/**
 * One tenant cannot stop the others. A small tenant publishes over the API at each priority, alone and beside four tenants
 * that flood: `hanging` has a thousand endpoints that never answer, `silent` has endpoints in zones that no name server
 * answers for, `slow` sends requests that never finish their bodies, `reader` reads the largest lists over and over. The
 * figure is the small one's p99 from publish to arrival, beside them to alone, in interleaved rounds on the same programs.
 */
import { connect } from "node:net";
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import { openProbe } from "./distributed.ts";
import { median, percentile, table } from "./figures.ts";
import { startSubject } from "./subject-process.ts";
import { openNameServer } from "../test/support/name-server.ts";

const HANGING_ENDPOINTS = 1000;
const SILENT_ENDPOINTS = 60;
/** Of a batch that is published. */
const BATCH = 500;
/** Requests that never end, and readers at once. */
const UNFINISHED = 500;
const READERS = 4;
/** Before one that was answered is begun again. */
const REOPEN_MS = 1000;
/** Events a second of the small tenant at each priority, and seconds of them that do not count. */
const RATE = 20;
const WARM_UP_S = 2;
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

/** Begins to flood; gives what ends it. */
type Flood = () => () => Promise<void>;

export async function benchTenants({ set, rounds, seconds, backlog }: TenantsOptions): Promise<void> {
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
  const reader = await addKey(system, "hanging", 0);
  isSilent = true;
  const floods: Readonly<Record<string, Flood>> = {
    hanging: () => publishFlood(system, hanging, backlog),
    silent: () => publishFlood(system, silent, backlog),
    slow: () => holdBodies(system, slow.key),
    reader: () => readLists(system, reader),
  };
  const parts: readonly (readonly [string, readonly Flood[]])[] = [
    ["alone", []],
    ...Object.entries(floods).map(([name, flood]) => [name, [flood]] as const),
    ["all four", Object.values(floods)],
  ];
  const measured = new Map(parts.map(([name]) => [name, [] as Latencies[]]));
  await publishSmall(system, small.key, probe, WARM_UP_S);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, flooding] of parts) {
      const ends = flooding.map((flood) => flood());
      measured.get(name)?.push(await publishSmall(system, small.key, probe, seconds));
      await Promise.all(ends.map((end) => end()));
    }
  }
  process.stdout.write(
    `\ntenants, ${set}: ${rounds} interleaved rounds, ${seconds} s each of ${RATE} events a second of a small tenant at each priority, alone ` +
      `and beside others. hanging, silent: ${backlog} events of each priority for ${HANGING_ENDPOINTS} endpoints that hang, for ` +
      `${SILENT_ENDPOINTS} in zones without an answer. slow: ${UNFINISHED} unfinished bodies. reader: ${READERS} at once. Medians of the rounds\n`,
  );
  process.stdout.write(`${figuresTable(measured)}\n`);
}

function figuresTable(measured: ReadonlyMap<string, readonly Latencies[]>): string {
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
  return table(["beside", ...columns], rows);
}

interface Tenant {
  readonly key: string;
  readonly endpoints: number;
}

/** A key of the tenant's own: shares are by key and tenant. */
async function addKey({ post }: BenchSystem, tenant: string, endpoints: number): Promise<string> {
  // Who publishes may publish much; what is read and never finished meets the usual limit.
  const rateLimit = endpoints > 0 ? { rate_limit: { limit: 100_000, window_ms: 1000 } } : {};
  const scopes = ["publish", "read"];
  const made = await post("/v1/api-keys", { name: tenant, tenant, scopes, ...rateLimit });
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
  return { key: await addKey(system, tenant, endpoints), endpoints };
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

/** Publishes it all as fast as it is taken; the end is when that is done. */
function publishFlood({ post }: BenchSystem, { key, endpoints }: Tenant, backlog: number): () => Promise<void> {
  const publish = async (): Promise<void> => {
    for (let sent = 0; sent < backlog; sent += BATCH) {
      for (const priority of PRIORITIES) {
        const events = Array.from({ length: Math.min(BATCH, backlog - sent) }, (_, index) => ({
          type: `to.${(sent + index) % endpoints}`,
          priority,
          data: { note: "x".repeat(900) },
        }));
        await post("/v1/events/batch", { events }, key);
      }
    }
  };
  const published = publish();
  return () => published;
}

/** Requests that send their heads and one byte; gives what ends them. One that is answered is begun again. */
function holdBodies(system: BenchSystem, key: string): () => Promise<void> {
  const url = new URL(system.url);
  const head =
    `POST /v1/events HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${key}\r\n` +
    "content-type: application/json\r\ncontent-length: 200000\r\n\r\n{";
  let isOver = false;
  const sockets = new Set<ReturnType<typeof connect>>();
  const open = (): void => {
    if (isOver) return;
    const socket = connect(Number(url.port), url.hostname, () => socket.write(head));
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", () => socket.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      setTimeout(open, REOPEN_MS);
    });
  };
  for (let index = 0; index < UNFINISHED; index += 1) open();
  return () => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
    return Promise.resolve();
  };
}

/** Reads the largest lists over and over; gives what ends that. */
function readLists(system: BenchSystem, key: string): () => Promise<void> {
  const over = new AbortController();
  const read = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const answer = await fetch(`${system.url}/v1/events?limit=100`, {
        headers: { authorization: `Bearer ${key}` },
        signal: over.signal,
      }).catch(() => null);
      await answer?.text().catch(() => "");
    }
  };
  const readers = Promise.all(Array.from({ length: READERS }, read));
  return async () => {
    over.abort();
    await readers;
  };
}
