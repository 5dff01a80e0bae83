/**
 * Who watches slows nothing. Events at a constant rate, and as many at once as there are, without readers of the live tail
 * and with twenty, one of which reads nothing, in interleaved rounds on the same programs. The figures are deliveries a
 * second and the time from publish to arrival.
 */
import type { BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { median, percentile } from "./figures.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

const READERS = 20;
const RATE = 1000;
const BATCH = 50;
const SHOWN_MS = 500;
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;

interface Part {
  readonly rate: number;
  readonly latencies: readonly number[];
  /** Least and most attempts that a reader which reads was shown; none without readers. */
  readonly shown: readonly number[];
}

export async function benchTail(options: {
  readonly set: "embedded" | "distributed";
  readonly rounds: number;
  readonly seconds: number;
}): Promise<Finding[]> {
  const { set, rounds, seconds } = options;
  await using system = await openBenchSystem(set, {});
  await using sink = await startSubject("sink.ts");
  await system.post("/v1/endpoints", { url: `http://127.0.0.1:${String(sink.hello["port"])}/0` });
  const { key } = await system.post("/v1/api-keys", { name: "tail", tenant: "default", scopes: ["read"] });
  await using readers = await startSubject("tail-readers.ts", { URL: system.url, KEY: String(key) });
  await run(system, sink, RATE, RATE); // Warms up.
  const parts: readonly (readonly [string, number, boolean, Part[]])[] = [
    [`${RATE} a second, nobody watches`, RATE, false, []],
    [`${RATE} a second, ${READERS} readers`, RATE, true, []],
    ["all at once, nobody watches", Infinity, false, []],
    [`all at once, ${READERS} readers`, Infinity, true, []],
  ];
  for (let round = 0; round < rounds; round += 1) {
    for (const [, rate, isWatched, measured] of parts) {
      if (isWatched) await readers.ask(`open ${READERS}`);
      const part = await run(system, sink, RATE * seconds, rate);
      // What was attempted last is shown a moment later.
      if (isWatched) await Bun.sleep(SHOWN_MS);
      const shown = isWatched ? ((await readers.ask("close"))["shown"] as number[]) : [];
      measured.push({ ...part, shown });
    }
  }
  const rateOf = (nth: number): number => median((parts[nth]?.[3] ?? []).map(({ rate }) => rate));
  const rows = parts.map(([name, , , measured], nth) => {
    const shown = measured.flatMap((part) => part.shown);
    return [
      name,
      String(Math.round(rateOf(nth))),
      (rateOf(nth) / rateOf(nth - (nth % 2))).toFixed(2),
      median(measured.map(({ latencies }) => percentile(latencies, 0.5))).toFixed(1),
      median(measured.map(({ latencies }) => percentile(latencies, 0.99))).toFixed(1),
      shown.length === 0 ? "" : `${Math.min(...shown)} to ${Math.max(...shown)}`,
    ];
  });
  const title = `tail, ${set}: ${rounds} interleaved rounds of ${RATE * seconds} events, ${READERS} readers of which one reads nothing, medians`;
  const header = ["subject", "deliveries/s", "ratio", "p50 ms", "p99 ms", "attempts shown to each"];
  return [{ title, header, rows, plotted: header.indexOf("ratio") }];
}

/** From the first publish to the last arrival. */
async function run(system: BenchSystem, sink: Subject, events: number, rate: number): Promise<Omit<Part, "shown">> {
  await sink.ask("reset");
  const startedAt = performance.now();
  for (let sent = 0; sent < events; sent += BATCH) {
    await Bun.sleep(Math.max(0, startedAt + (sent / rate) * 1000 - performance.now()));
    const sentAt = performance.timeOrigin + performance.now();
    const batch = Array.from({ length: BATCH }, (_, nth) => ({
      type: "tail.seen",
      priority: PRIORITIES[(sent + nth) % PRIORITIES.length],
      data: { sent_at: sentAt, text: "x".repeat(500) },
    }));
    await system.post("/v1/events/batch", { events: batch });
  }
  await sink.ask(`wait ${events}`);
  const seconds = (performance.now() - startedAt) / 1000;
  const byPath = (await sink.ask("figures"))["latencies"] as Record<string, number[]>;
  return { rate: events / seconds, latencies: Object.values(byPath).flat() };
}
