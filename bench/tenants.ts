/**
 * One tenant cannot stop the others: a small tenant with an endpoint for each priority, alone and beside one that shards a
 * backlog over a thousand endpoints which all hang. The figure is the small one's p99 from append to arrival at each
 * priority, beside the big one to alone, in interleaved rounds.
 */
import { median, percentile, table } from "./figures.ts";
import { startSubject } from "./subject-process.ts";

const ENDPOINTS = 1000;
const PATHS = ["/high", "/medium", "/low"] as const;
/** Events a second of the small tenant at each priority, and to warm up. */
const RATE = 20;
const WARM_UP = 40;

type Latencies = Readonly<Record<string, number[]>>;

export async function benchTenants(options: { rounds: number; seconds: number; backlog: number }): Promise<void> {
  const { rounds, seconds, backlog } = options;
  const alone: Latencies[] = [];
  const beside: Latencies[] = [];
  for (let round = 0; round < rounds; round += 1) {
    alone.push(await runRound(seconds, 0));
    beside.push(await runRound(seconds, backlog));
  }
  process.stdout.write(
    `\ntenants: ${rounds} interleaved rounds of ${seconds} s, ${RATE} events a second of a small tenant at each priority, alone and beside ` +
      `${backlog} events of each priority for ${ENDPOINTS} endpoints of another that hang, medians\n`,
  );
  const figure = (runs: readonly Latencies[], path: string, share: number) =>
    median(runs.map((latencies) => percentile(latencies[path] ?? [], share)));
  const rows = PATHS.map((path) => [
    path.slice(1).toUpperCase(),
    figure(alone, path, 0.5).toFixed(2),
    figure(alone, path, 0.99).toFixed(2),
    figure(beside, path, 0.5).toFixed(2),
    figure(beside, path, 0.99).toFixed(2),
    (figure(beside, path, 0.99) / figure(alone, path, 0.99)).toFixed(2),
  ]);
  const header = ["priority", "alone p50 ms", "p99 ms", "beside p50 ms", "p99 ms", "p99 ratio"];
  process.stdout.write(`${table(header, rows)}\n`);
}

/** Ends when every event of the small tenant has arrived. */
async function runRound(seconds: number, backlog: number): Promise<Latencies> {
  await using sink = await startSubject("sink.ts");
  const environment = { SINK: `http://127.0.0.1:${String(sink.hello["port"])}`, ENDPOINTS: String(ENDPOINTS) };
  await using subject = await startSubject("tenants.ts", environment);
  await subject.ask("drain");
  await subject.ask(`offer ${WARM_UP} ${RATE}`);
  await sink.ask(`wait ${WARM_UP * PATHS.length}`);
  await sink.ask("reset /hang");
  if (backlog > 0) await subject.ask(`flood ${backlog}`);
  const events = RATE * seconds;
  await subject.ask(`offer ${events} ${RATE}`);
  await sink.ask(`wait ${events * PATHS.length}`);
  return (await sink.ask("figures"))["latencies"] as Latencies;
}
