/**
 * An endpoint that hangs and gets a tenth of the traffic of each partition: the throughput and the p99 of the other nine
 * tenths, hanging against not, in interleaved rounds on Kafka.
 */
import type { DistributedBench } from "./distributed.ts";
import { openDistributedBench } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { median, percentile } from "./figures.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

const ENDPOINTS = 10;
const HANGING = "/9";
const BATCH = 100;

interface Round {
  readonly rate: number;
  readonly latencies: readonly number[];
}

export async function benchPartition(wish: { rounds: number; events: number; rate: number }): Promise<Finding[]> {
  const { rounds, events, rate } = wish;
  const calm: Round[] = [];
  const stormy: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    calm.push(await runRound(events, rate, ""));
    stormy.push(await runRound(events, rate, HANGING));
  }
  const p99 = (of: readonly Round[]) => median(of.map(({ latencies }) => percentile(latencies, 0.99)));
  const row = (name: string, of: readonly Round[]) => [
    name,
    String(Math.round(median(of.map((one) => one.rate)))),
    median(of.map(({ latencies }) => percentile(latencies, 0.5))).toFixed(1),
    p99(of).toFixed(1),
    (p99(of) / p99(calm)).toFixed(2),
  ];
  const title = `partition: ${rounds} interleaved rounds of ${events} MEDIUM events at ${rate} a second, a tenth of them to each of ten endpoints, medians`;
  const rows = [row("nine endpoints, the tenth answers", calm), row("nine endpoints, the tenth hangs", stormy)];
  return [{ title, header: ["subject", "deliveries/s", "p50 ms", "p99 ms", "p99 ratio"], rows, plotted: 3 }];
}

async function runRound(events: number, rate: number, hanging: string): Promise<Round> {
  await using bench = await openDistributedBench({ gateways: 1, processors: 1 });
  await using sink = await startSubject("sink.ts");
  for (let endpoint = 0; endpoint < ENDPOINTS; endpoint += 1) {
    const url = `http://127.0.0.1:${String(sink.hello["port"])}/${endpoint}`;
    await bench.post("/v1/endpoints", { url, event_types: [`to.n${endpoint}`] });
  }
  await offer(bench, rate, rate); // Warms up.
  await sink.ask(`wait ${rate}`);
  await sink.ask(`reset ${hanging}`.trim());
  return await measure(bench, sink, { events, rate, expected: hanging === "" ? events : (events * 9) / 10 });
}

async function measure(
  bench: DistributedBench,
  sink: Subject,
  { events, rate, expected }: { readonly events: number; readonly rate: number; readonly expected: number },
): Promise<Round> {
  const startedAt = performance.now();
  await offer(bench, events, rate);
  await sink.ask(`wait ${expected}`);
  const seconds = (performance.now() - startedAt) / 1000;
  const byPath = (await sink.ask("figures"))["latencies"] as Record<string, number[]>;
  const others = Object.entries(byPath).filter(([path]) => path !== HANGING);
  const latencies = others.flatMap(([, values]) => values);
  return { rate: latencies.length / seconds, latencies };
}

/** Events in turn to each endpoint, a batch at a time, at a constant rate. */
async function offer(bench: DistributedBench, events: number, rate: number): Promise<void> {
  const startedAt = performance.now();
  for (let sent = 0; sent < events; sent += BATCH) {
    const dueAt = startedAt + (sent / rate) * 1000;
    await Bun.sleep(Math.max(0, dueAt - performance.now()));
    const sentAt = performance.timeOrigin + performance.now();
    const batch = Array.from({ length: Math.min(BATCH, events - sent) }, (_, index) => ({
      type: `to.n${(sent + index) % ENDPOINTS}`,
      data: { sent_at: sentAt },
    }));
    await bench.post("/v1/events/batch", { events: batch });
  }
}
