/**
 * Endpoints are islands: ten endpoints at a constant rate, with and without one of them hanging on every request. The
 * figure is the other nine's p99 from append to arrival, hanging against not, in interleaved rounds.
 */
import type { Finding } from "./figures.ts";
import { median, percentile } from "./figures.ts";
import { startSubject } from "./subject-process.ts";

const ENDPOINTS = 10;
/** Events a second; each goes to all ten endpoints. */
const RATE = 50;
const HANGING = "/9";

export async function benchIslands({ rounds, seconds }: { rounds: number; seconds: number }): Promise<Finding[]> {
  const calm: number[][] = [];
  const stormy: number[][] = [];
  for (let round = 0; round < rounds; round += 1) {
    calm.push(await runRound(seconds, ""));
    stormy.push(await runRound(seconds, HANGING));
  }
  const figures = (runs: number[][], share: number) => median(runs.map((latencies) => percentile(latencies, share)));
  const row = (name: string, runs: number[][]) => [
    name,
    String(Math.round(median(runs.map(({ length }) => length)))),
    figures(runs, 0.5).toFixed(2),
    figures(runs, 0.99).toFixed(2),
    (figures(runs, 0.99) / figures(calm, 0.99)).toFixed(2),
  ];
  const title = `islands: ${rounds} interleaved rounds of ${seconds} s, ten endpoints, ${RATE * ENDPOINTS} deliveries a second, medians`;
  const rows = [row("nine endpoints, the tenth answers", calm), row("nine endpoints, the tenth hangs", stormy)];
  return [{ title, header: ["subject", "deliveries", "p50 ms", "p99 ms", "p99 ratio"], rows, plotted: 3 }];
}

/** Latencies of the nine endpoints that answer; throws when one of their deliveries is missing. */
async function runRound(seconds: number, hanging: string): Promise<number[]> {
  await using sink = await startSubject("sink.ts");
  const environment = { SINK: `http://127.0.0.1:${String(sink.hello["port"])}`, ENDPOINTS: String(ENDPOINTS) };
  await using subject = await startSubject("processor.ts", environment);
  await subject.ask("drain");
  await subject.ask(`offer ${RATE} ${RATE}`); // Warms up.
  await sink.ask(`wait ${RATE * ENDPOINTS}`);
  await sink.ask(`reset ${hanging}`.trim());
  const events = RATE * seconds;
  await subject.ask(`offer ${events} ${RATE}`);
  await sink.ask(`wait ${events * (hanging === "" ? ENDPOINTS : ENDPOINTS - 1)}`);
  const latencies = (await sink.ask("figures"))["latencies"] as Record<string, number[]>;
  return Object.entries(latencies)
    .filter(([path]) => path !== HANGING)
    .flatMap(([, values]) => values);
}
