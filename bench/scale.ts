/**
 * One, two and four processors on one Redis and one Kafka, behind one gateway: deliveries a second, as ratios to one processor of
 * the same round. Each lane for itself, with processors of its own for each count.
 *
 * What bounds a processor is its endpoint: it answers after a second, and a processor has at most 64 attempts in flight at
 * one endpoint, half of them LOW. With a single endpoint that is 64 deliveries a second, 32 at LOW, for each processor, and 256
 * for four, which two cores carry beside the rest. At 50 ms one endpoint alone would let a processor make 1,280 a
 * second, and four of them would measure the cores. All events are fed at once when the processors run, so
 * each has more than it can take; most are put off at first and called back, as in any backlog of a slow endpoint. Where the cores
 * were busy all the time the ratio is theirs, and says nothing of the processors.
 */
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { DistributedBench } from "./distributed.ts";
import { openDistributedBench } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import { within } from "./in-bounds.ts";
import type { Subject } from "./subject-process.ts";
import { coreTime, startSubject, usageOf } from "./subject-process.ts";

const COUNTS = [1, 2, 4] as const;
const ANSWER_MS = 1000;
/** One reads at least three where four share them. */
const PARTITIONS = 12;
const BATCH = 500;
const DATA = { note: "x".repeat(900) };
/** After the last processor is ready: partitions change hands when another comes. */
const SETTLE_MS = 3000;
/** Shares of the events between whose arrivals is measured: before them caps grow, after them some have nothing left. */
const [FROM, TO] = [0.3, 0.8];
/** Of all events of a part; at 32 a second for each processor it takes a good deal less. */
const ARRIVE_MS_MAX = 300_000;
/** For all processors of a part to be ready, and to have ended. */
const START_MS_MAX = 120_000;
const END_MS_MAX = 60_000;

interface Round {
  /** Deliveries a second. */
  readonly rate: number;
  /** Of the processors together, for each delivery, their start included. */
  readonly cpuMs: number;
  /** Share of the machine's cores that was busy, by whatever ran on it. */
  readonly coresBusy: number;
}

export async function benchScale(wish: { rounds: number; events: number }): Promise<Finding[]> {
  const { rounds, events } = wish;
  const env = { KAFKA_PARTITIONS: String(PARTITIONS) };
  await using bench = await openDistributedBench({ gateways: 1, processors: 0, env });
  await using sink = await startSubject("sink.ts");
  const url = `http://127.0.0.1:${String(sink.hello["port"])}/wait/${ANSWER_MS}`;
  await bench.post("/v1/endpoints", { url, event_types: ["load"] });
  const measured = new Map(Priority.options.map((priority) => [priority, COUNTS.map((): Round[] => [])]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [priority, byCount] of measured) {
      for (const [index, count] of COUNTS.entries())
        byCount[index]?.push(await runRound(bench, sink, { priority, count, events: eventsOf(priority, events) }));
    }
  }
  const rows = [...measured].flatMap(([priority, byCount]) => rowsOf(priority, byCount));
  const title =
    `scale: ${rounds} interleaved rounds of ${events} events (LOW half of that) for each processor, to an endpoint that answers after ` +
    `${ANSWER_MS} ms; from ${FROM * 100} to ${TO * 100} % of the arrivals, medians; ratios by round`;
  const header = ["processors", "deliveries/s", "ratio", "spread", "CPU ms each", "cores busy"];
  return [{ title, header, rows, plotted: 2 }];
}

/** LOW has half of an endpoint's cap. */
function eventsOf(priority: Priority, events: number): number {
  return priority === "LOW" ? Math.ceil(events / 2) : events;
}

/** Resolves when all have arrived and the processors have ended. */
async function runRound(
  bench: DistributedBench,
  sink: Subject,
  part: { readonly priority: Priority; readonly count: number; readonly events: number },
): Promise<Round> {
  const { priority, count } = part;
  const events = count * part.events;
  await sink.ask("reset");
  const starts = Promise.all(Array.from({ length: count }, () => bench.add("processor")));
  await within(START_MS_MAX, `the start of ${count} processors`, starts);
  await Bun.sleep(SETTLE_MS);
  for (let sent = 0; sent < events; sent += BATCH) {
    const event = { type: "load", priority, data: DATA };
    await bench.post("/v1/events/batch", {
      events: Array.from({ length: Math.min(BATCH, events - sent) }, () => event),
    });
  }
  const arrival = async (share: number): Promise<{ readonly nth: number; readonly atMs: number }> => {
    const nth = Math.ceil(events * share);
    const what = `the arrival of ${nth} of ${events} ${priority} events over ${count} processors`;
    return { nth, atMs: Number((await within(ARRIVE_MS_MAX, what, sink.ask(`wait ${nth}`)))["atMs"]) };
  };
  const from = await arrival(FROM);
  const before = coreTime();
  const to = await arrival(TO);
  const after = coreTime();
  await arrival(1);
  const cpuUs = bench.processors.reduce((sum, { pid }) => sum + usageOf(pid).cpuUs, 0);
  const ends = Promise.all(bench.processors.splice(0).map((processor) => processor.end("SIGTERM")));
  await within(END_MS_MAX, `the end of ${count} processors`, ends);
  return {
    rate: ((to.nth - from.nth) * 1000) / (to.atMs - from.atMs),
    cpuMs: cpuUs / 1000 / events,
    coresBusy: (after.busy - before.busy) / (after.all - before.all),
  };
}

function rowsOf(priority: Priority, byCount: readonly (readonly Round[])[]): readonly (readonly string[])[] {
  const [one = []] = byCount;
  return COUNTS.map((count, index) => {
    const rounds = byCount[index] ?? [];
    const ratios = rounds.map(({ rate }, round) => rate / (one[round]?.rate ?? NaN));
    return [
      `${priority}, ${count}`,
      median(rounds.map(({ rate }) => rate)).toFixed(0),
      median(ratios).toFixed(2),
      spreadText(ratios),
      median(rounds.map(({ cpuMs }) => cpuMs)).toFixed(2),
      median(rounds.map(({ coresBusy }) => coresBusy)).toFixed(2),
    ];
  });
}
