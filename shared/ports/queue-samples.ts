/** Depth and lag of every queue. A store that is away costs the samples of its own queues. */
import { LANES } from "../domain/event.ts";
import type { Clock } from "../lib/ambient.ts";
import { inTime } from "../lib/in-time.ts";
import type { QueueSample } from "../telemetry/queue.ts";
import type { Drivers } from "./drivers.ts";
import type { Depth } from "./lanes.ts";

/** A store that has not answered by then is left out. */
const ANSWER_MS = 2000;

type Queues = Pick<Drivers, "lanes" | "retryQueue" | "deadLetters" | "spool" | "missedLedger">;

/** Never rejects. */
export async function readQueues(drivers: Queues, clock: Clock): Promise<readonly QueueSample[]> {
  const { lanes, retryQueue, deadLetters, spool, missedLedger } = drivers;
  const sampleOf = (queue: QueueSample["queue"], { count, oldestAtMs }: Depth): QueueSample => ({
    queue,
    depth: count,
    lagMs: oldestAtMs === null ? null : Math.max(0, clock.now() - oldestAtMs),
  });
  const asked: Promise<QueueSample>[] = [
    ...LANES.map(async (lane) => sampleOf(lane, await lanes.depth(lane))),
    retryQueue.depth().then((depth) => sampleOf("retry", depth)),
    deadLetters.count({ tenant: null }).then((depth) => ({ queue: "dead", depth, lagMs: null })),
  ];
  if (spool !== null) {
    asked.push(spool.depth().then(({ count, oldestMs }) => ({ queue: "spool", depth: count, lagMs: oldestMs })));
  }
  if (missedLedger !== null) asked.push(missedLedger.depth().then((depth) => sampleOf("ledger", depth)));
  const answers = await Promise.allSettled(asked.map((sample) => inTime(clock, ANSWER_MS, sample)));
  return answers.flatMap((answer) =>
    answer.status === "fulfilled" && answer.value.kind === "done" ? answer.value.value : [],
  );
}
