/**
 * HIGH from publish to receiver, one event at a time: on an idle system, against one LPUSH/BLMOVE hand-over and one POST
 * in the same run; and while 200,000 LOW events that were accepted before are being delivered.
 */
import { Redis } from "ioredis";
import type { DistributedBench } from "./distributed.ts";
import { openDistributedBench, openProbe } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { percentile } from "./figures.ts";
import { startSubject } from "./subject-process.ts";

const BATCH = 1000;
const LOW_DATA = { note: "x".repeat(200) };
/** Between two events, as a quiet system has it. */
const PAUSE_MS = 10;

type Probe = ReturnType<typeof openProbe>;

export async function benchPriority(wish: { rounds: number; events: number; backlog: number }): Promise<Finding[]> {
  const { rounds, events, backlog } = wish;
  await using bench = await openDistributedBench({ gateways: 1, processors: 1 });
  await using probe = openProbe();
  await using sink = await startSubject("sink.ts");
  await bench.post("/v1/endpoints", { url: probe.url, event_types: ["probe"] });
  await bench.post("/v1/endpoints", { url: `http://127.0.0.1:${String(sink.hello["port"])}/0`, event_types: ["load"] });
  await probeHigh(bench, probe, events);
  const bare: number[] = [];
  const idle: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    bare.push(...(await handOver(bench.redisUrl, `${bench.prefix}:bare`, probe, events)));
    idle.push(...(await probeHigh(bench, probe, events)));
  }
  await fillBacklog(bench, backlog);
  const busy: number[] = [];
  let left = backlog;
  for (let round = 0; round < rounds; round += 1) {
    busy.push(...(await probeHigh(bench, probe, events)));
    left = backlog - Number((await sink.ask("count"))["count"]);
  }
  const row = (name: string, latencies: readonly number[]) => [
    name,
    String(latencies.length),
    percentile(latencies, 0.5).toFixed(2),
    percentile(latencies, 0.99).toFixed(2),
    (percentile(latencies, 0.5) / percentile(idle, 0.5)).toFixed(2),
    (percentile(latencies, 0.99) / percentile(idle, 0.99)).toFixed(2),
  ];
  const title = `priority: HIGH from publish to receiver, ${rounds} rounds of ${events}, one at a time`;
  const header = ["subject", "events", "p50 ms", "p99 ms", "p50 ratio", "p99 ratio"];
  const rows = [row("LPUSH, BLMOVE, POST", bare), row("HIGH, idle", idle), row(`HIGH, ${backlog} LOW before it`, busy)];
  return [{ title, header, rows, plotted: 3, note: `left of the backlog at the end: ${left}` }];
}

async function probeHigh(bench: DistributedBench, probe: Probe, events: number): Promise<number[]> {
  const latencies: number[] = [];
  for (let event = 0; event < events; event += 1) {
    const startedAt = performance.now();
    const accepted = await bench.post("/v1/events", { type: "probe", priority: "HIGH", data: { event } });
    latencies.push((await probe.arrival(String(accepted["id"]))) - startedAt);
    await Bun.sleep(PAUSE_MS);
  }
  return latencies;
}

/** What no sender on Redis can do without: a push, a blocking take on another connection, a POST. */
async function handOver(url: string, list: string, probe: Probe, events: number): Promise<number[]> {
  const [pusher, waiter] = [new Redis(url), new Redis(url)];
  const latencies: number[] = [];
  const run = crypto.randomUUID();
  try {
    for (let event = 0; event < events; event += 1) {
      const id = `${run}-${event}`;
      const startedAt = performance.now();
      const [, taken] = await Promise.all([
        pusher.lpush(list, JSON.stringify({ id, type: "probe", data: { event } })),
        waiter.blmove(list, `${list}:taken`, "RIGHT", "LEFT", 5),
      ]);
      const body = taken ?? "";
      await fetch(probe.url, { method: "POST", headers: { "webhook-id": id }, body });
      latencies.push((await probe.arrival(id)) - startedAt);
      await Bun.sleep(PAUSE_MS);
    }
    await pusher.del(list, `${list}:taken`);
  } finally {
    pusher.disconnect();
    waiter.disconnect();
  }
  return latencies;
}

/** Accepted while no processor runs; the one that starts then has all of it before it. */
async function fillBacklog(bench: DistributedBench, backlog: number): Promise<void> {
  await bench.processors.shift()?.end("SIGTERM");
  const event = { type: "load", priority: "LOW", data: LOW_DATA };
  for (let sent = 0; sent < backlog; sent += BATCH) {
    await bench.post("/v1/events/batch", { events: Array.from({ length: BATCH }, () => event) });
  }
  await bench.add("processor");
}
