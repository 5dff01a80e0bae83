/**
 * As `tenants.ts`, over Redis and Kafka and the API: a small tenant's events at each priority from publish to arrival, alone
 * and beside tenants that flood: one with a thousand endpoints that hang, one whose requests never finish their bodies, one
 * that reads large lists. The figure is the small one's p99 beside them to alone, in interleaved rounds.
 */
import { connect } from "node:net";
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { DistributedBench } from "./distributed.ts";
import { openDistributedBench, openProbe } from "./distributed.ts";
import { percentile, table } from "./figures.ts";
import { startSubject } from "./subject-process.ts";

const ENDPOINTS = 1000;
const BATCH = 500;
/** Requests that never end, and readers at once. */
const UNFINISHED = 500;
const READERS = 4;
/** Between two events of the small tenant. */
const PAUSE_MS = 50;
const PRIORITIES = Priority.options;

type Latencies = Readonly<Record<Priority, number[]>>;

export async function benchTenantsDistributed(options: { rounds: number; events: number; backlog: number }) {
  const { rounds, events, backlog } = options;
  await using bench = await openDistributedBench({ gateways: 1, processors: 1 });
  await using probe = openProbe();
  await using sink = await startSubject("sink.ts");
  await sink.ask("reset /hang");
  await bench.post("/v1/endpoints", { url: probe.url, tenant: "small", event_types: ["probe"] });
  const keys = {
    small: await addKey(bench, "small"),
    big: await addKey(bench, "big"),
    slow: await addKey(bench, "slow"),
  };
  await addHanging(bench, `http://127.0.0.1:${String(sink.hello["port"])}`);
  await probeSmall(bench, keys.small, probe, none(), events);
  const alone = none();
  const beside = none();
  for (let round = 0; round < rounds; round += 1) {
    await probeSmall(bench, keys.small, probe, alone, events);
    await using stack = new AsyncDisposableStack();
    await floodHanging(bench, keys.big, backlog);
    stack.defer(holdBodies(bench, keys.slow));
    stack.defer(readLists(bench, keys.big));
    await probeSmall(bench, keys.small, probe, beside, events);
  }
  const rows = PRIORITIES.map((priority) => [
    priority,
    percentile(alone[priority], 0.5).toFixed(2),
    percentile(alone[priority], 0.99).toFixed(2),
    percentile(beside[priority], 0.5).toFixed(2),
    percentile(beside[priority], 0.99).toFixed(2),
    (percentile(beside[priority], 0.99) / percentile(alone[priority], 0.99)).toFixed(2),
  ]);
  process.stdout.write(
    `\ntenants, distributed: ${rounds} interleaved rounds of ${events} events of a small tenant at each priority, alone and beside ` +
      `${backlog} events of each priority for ${ENDPOINTS} endpoints that hang, ${UNFINISHED} unfinished bodies and ${READERS} readers of lists\n`,
  );
  const header = ["priority", "alone p50 ms", "p99 ms", "beside p50 ms", "p99 ms", "p99 ratio"];
  process.stdout.write(`${table(header, rows)}\n`);
}

/** A key of the tenant's own: shares are by key and tenant. */
async function addKey(bench: DistributedBench, tenant: string): Promise<string> {
  const rateLimit = { limit: 100_000, window_ms: 1000 };
  const scopes = ["publish", "read"];
  const made = await bench.post("/v1/api-keys", { name: tenant, tenant, scopes, rate_limit: rateLimit });
  return String(made["key"]);
}

function none(): Latencies {
  return { HIGH: [], MEDIUM: [], LOW: [] };
}

async function addHanging(bench: DistributedBench, sink: string): Promise<void> {
  for (let index = 0; index < ENDPOINTS; index += 1) {
    await bench.post("/v1/endpoints", { url: `${sink}/${index}/hang`, tenant: "big", event_types: [`to.${index}`] });
  }
}

async function probeSmall(
  bench: DistributedBench,
  key: string,
  probe: ReturnType<typeof openProbe>,
  latencies: Latencies,
  events: number,
): Promise<void> {
  for (let event = 0; event < events; event += 1) {
    const arrivals = PRIORITIES.map(async (priority) => {
      const startedAt = performance.now();
      const accepted = await bench.post("/v1/events", { type: "probe", priority, data: { event } }, key);
      latencies[priority].push((await probe.arrival(String(accepted["id"]))) - startedAt);
    });
    await Promise.all(arrivals);
    await Bun.sleep(PAUSE_MS);
  }
}

async function floodHanging(bench: DistributedBench, key: string, backlog: number): Promise<void> {
  for (const priority of PRIORITIES) {
    for (let sent = 0; sent < backlog; sent += BATCH) {
      const events = Array.from({ length: BATCH }, (_, index) => ({
        type: `to.${(sent + index) % ENDPOINTS}`,
        priority,
        data: { note: "x".repeat(900) },
      }));
      await bench.post("/v1/events/batch", { events }, key);
    }
  }
}

/** Requests that send their heads and one byte; gives what ends them. One that is answered is begun again. */
function holdBodies(bench: DistributedBench, key: string): () => void {
  const url = new URL(bench.gateways[0]?.url ?? "");
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
      setTimeout(open, 100);
    });
  };
  for (let index = 0; index < UNFINISHED; index += 1) open();
  return () => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  };
}

/** Reads the largest lists over and over; gives what ends that. */
function readLists(bench: DistributedBench, key: string): () => Promise<void> {
  const over = new AbortController();
  const read = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const answer = await fetch(`${bench.gateways[0]?.url ?? ""}/v1/events?limit=100`, {
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
