/**
 * How late a retry fires on Kafka, against the time that the API shows for it: in steady state, after a graceful restart
 * of the processor, and after its SIGKILL. Delays of 7 s and 90 s, each with events whose first attempt fails.
 */
import type { DistributedBench } from "./distributed.ts";
import { openDistributedBench } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { percentile } from "./figures.ts";

/** Each to an endpoint of its own: one that fails several times in a row is left alone for a while. */
const EVENTS = 50;
const PLANNED_ASK_MS = 100;

type Change = "none" | "restart" | "kill";
const changes: readonly (readonly [Change, string])[] = [
  ["none", "steady state"],
  ["restart", "graceful restart"],
  ["kill", "SIGKILL"],
];

/** Answers 500 to the first attempt of each event and 204 to the next, whose time is kept. */
function openFailing() {
  const attempts = new Map<string, number[]>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const id = request.headers.get("webhook-id") ?? "";
      const times = attempts.get(id) ?? [];
      attempts.set(id, [...times, performance.timeOrigin + performance.now()]);
      return new Response(null, { status: times.length === 0 ? 500 : 204 });
    },
  });
  return {
    url: `http://127.0.0.1:${String(server.port)}`,
    attempts,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

export async function benchRetries({ delaysS }: { delaysS: readonly number[] }): Promise<Finding[]> {
  const rows: string[][] = [];
  for (const delayS of delaysS) {
    for (const [change, name] of changes) {
      const lateMs = await runRound(delayS, change);
      rows.push([
        `${delayS} s, ${name}`,
        String(lateMs.length),
        percentile(lateMs, 0.5).toFixed(0),
        percentile(lateMs, 0.99).toFixed(0),
        Math.min(...lateMs).toFixed(0),
      ]);
    }
  }
  const title = `retries: how late the second attempt arrives, ${EVENTS} events each`;
  return [{ title, header: ["retry due in", "events", "p50 ms", "p99 ms", "least ms"], rows, plotted: 3 }];
}

async function runRound(delayS: number, change: Change): Promise<number[]> {
  await using receiver = openFailing();
  await using bench = await openDistributedBench({ gateways: 1, processors: 1 });
  for (let event = 0; event < EVENTS; event += 1) {
    const retry = { delays_s: [0, delayS] };
    await bench.post("/v1/endpoints", { url: receiver.url, event_types: [`to.n${event}`], retry });
  }
  const ids: string[] = [];
  for (let event = 0; event < EVENTS; event += 1) {
    const accepted = await bench.post("/v1/events", { type: `to.n${event}`, data: { event } });
    ids.push(String(accepted["id"]));
  }
  const planned = new Map<string, number>();
  for (const id of ids) planned.set(id, await plannedAt(bench, id));
  if (change !== "none") {
    await bench.processors.shift()?.end(change === "kill" ? "SIGKILL" : "SIGTERM");
    await bench.add("processor");
  }
  while (ids.some((id) => (receiver.attempts.get(id)?.length ?? 0) < 2)) await Bun.sleep(PLANNED_ASK_MS);
  return ids.map((id) => (receiver.attempts.get(id)?.[1] ?? NaN) - (planned.get(id) ?? NaN));
}

/** The time of the next attempt as the API shows it, once there is one. */
async function plannedAt(bench: DistributedBench, id: string): Promise<number> {
  for (;;) {
    const response = await fetch(`${bench.gateways[0]?.url ?? ""}/v1/events/${id}`, {
      headers: { authorization: `Bearer ${bench.operatorKey}` },
    });
    const { deliveries = [] } = (await response.json()) as {
      readonly deliveries?: readonly { readonly next_attempt_at: string | null }[];
    };
    const at = deliveries[0]?.next_attempt_at ?? null;
    if (at !== null) return Date.parse(at);
    await Bun.sleep(PLANNED_ASK_MS);
  }
}
