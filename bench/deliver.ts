/**
 * End-to-end delivery against its ceiling: a bare loop of the same transport posts to a sink (and, for comparison, one of
 * undici and one of the runtime's own fetch, neither of which vets an address); the processor takes the same number of
 * events from its durable lane, signs, posts to the same sink, keeps the ledger and acknowledges. Interleaved rounds.
 */
import type { Figures, Finding } from "./figures.ts";
import { figuresFinding, figuresRow, median, medianFigures, percentile } from "./figures.ts";
import { startSubject } from "./subject-process.ts";

const IN_FLIGHT = 64;
const LOW_RATE = 200;
/** Events sent before the clock starts: code in JavaScript needs them to be compiled, the runtime's own does not. */
const WARM_UP = 20_000;

export async function benchDeliver({ rounds, events }: { rounds: number; events: number }): Promise<Finding[]> {
  const bare = { transport: [] as Figures[], fetch: [] as Figures[], undici: [] as Figures[] };
  const ours: Figures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    bare.transport.push(await runBare("transport", events));
    bare.fetch.push(await runBare("fetch", events));
    bare.undici.push(await runBare("undici", events));
    ours.push(await runProcessor(events));
  }
  const ceiling = medianFigures(bare.transport);
  const rows = [
    figuresRow("bare loop, the same transport", ceiling, ceiling),
    figuresRow("bare loop, undici", medianFigures(bare.undici), ceiling),
    figuresRow("bare loop, the runtime's fetch", medianFigures(bare.fetch), ceiling),
    figuresRow("processor: lane, sign, POST, ledger, ack", medianFigures(ours), ceiling),
  ];
  const title = `deliver: ${rounds} interleaved rounds of ${events} events of 1 KB, one endpoint, ${IN_FLIGHT} in flight, medians`;
  const note = `The processor's p50 and p99 are from append to arrival at ${LOW_RATE} events a second; the loops' are per request.`;
  return [figuresFinding(title, rows, note)];
}

async function runBare(client: "transport" | "fetch" | "undici", events: number): Promise<Figures> {
  await using sink = await startSubject("sink.ts");
  await using loop = await startSubject("bare-client.ts", { SINK: `http://127.0.0.1:${String(sink.hello["port"])}/0` });
  await loop.ask(`${client} ${WARM_UP} ${IN_FLIGHT}`);
  const before = loop.usage();
  const { ms, p50Ms, p99Ms } = await loop.ask(`${client} ${events} ${IN_FLIGHT}`);
  const after = loop.usage();
  return {
    rate: (events * 1000) / Number(ms),
    p50Ms: Number(p50Ms),
    p99Ms: Number(p99Ms),
    cpuUs: (after.cpuUs - before.cpuUs) / events,
    rssMiB: after.rssMiB,
  };
}

/** `env`: settings of the processor beside the usual ones. */
export async function runProcessor(events: number, env: Readonly<Record<string, string>> = {}): Promise<Figures> {
  await using sink = await startSubject("sink.ts");
  await using subject = await startSubject("processor.ts", {
    SINK: `http://127.0.0.1:${String(sink.hello["port"])}`,
    ...env,
  });
  await subject.ask(`fill ${WARM_UP + events}`);
  await sink.ask("reset");
  await subject.ask("drain");
  const { atMs: startedAtMs, count: startCount } = await sink.ask(`wait ${WARM_UP}`);
  const before = subject.usage();
  const { atMs: endedAtMs, count: endCount } = await sink.ask(`wait ${WARM_UP + events}`);
  const after = subject.usage();
  await sink.ask("reset");
  const probes = LOW_RATE * 2;
  await subject.ask(`offer ${probes} ${LOW_RATE}`);
  await sink.ask(`wait ${probes}`);
  const latencies = Object.values((await sink.ask("figures"))["latencies"] as Record<string, number[]>).flat();
  return {
    rate: ((Number(endCount) - Number(startCount)) * 1000) / (Number(endedAtMs) - Number(startedAtMs)),
    p50Ms: median(latencies),
    p99Ms: percentile(latencies, 0.99),
    cpuUs: (after.cpuUs - before.cpuUs) / events,
    rssMiB: after.rssMiB,
  };
}
