/** Spans and log records wait in a bounded queue, one export at a time; what is lost is counted, and a stop is bounded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ExportQueue, FLUSH_MS } from "@posthaste/shared/drivers/otel/export-queue.ts";
import { backlogOfItems } from "@posthaste/shared/drivers/otel/backlog.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS } from "../../support/samples.ts";

/** `ExportResultCode` of the SDK. */
const [SUCCESS, FAILED] = [0, 1];
const TIMEOUT_MS = 2000;

type Answer = "well" | "failed" | "never" | "throws";

function openQueue(answers: readonly Answer[]) {
  const clock = createManualClock(START_MS);
  const exported: number[] = [];
  const failed: number[] = [];
  const queue = new ExportQueue<number, number[]>({
    backlog: backlogOfItems(4),
    clock,
    queueMax: 10,
    batchMax: 4,
    delayMs: 100,
    timeoutMs: TIMEOUT_MS,
    onFailure: (_error, count) => void failed.push(count),
    exporter: {
      export(spans, done) {
        const answer = answers[exported.length] ?? answers.at(-1);
        exported.push(spans.length);
        if (answer === "throws") throw new Error("cannot be written");
        if (answer !== "never") done({ code: answer === "well" ? SUCCESS : FAILED });
      },
      shutdown: () => new Promise(() => undefined),
    },
  });
  const put = (count: number): void => {
    for (let index = 0; index < count; index++) queue.add(index);
  };
  return { clock, queue, exported, failed, put };
}

test("a batch that is full goes out at once, another after the delay", async () => {
  const { clock, queue, exported, put } = openQueue(["well"]);
  put(5);
  await clock.advance(1);
  assert.deepEqual(exported, [4]);
  await clock.advance(100);
  assert.deepEqual(exported, [4, 1]);
  assert.deepEqual(queue.lost, { "queue-full": 0, "not-exported": 0 });
});

test("while an export hangs the queue fills to its bound, and what comes beyond is lost and counted", async () => {
  const { clock, queue, exported, failed, put } = openQueue(["never", "well"]);
  put(4 + 10 + 3);
  await clock.advance(TIMEOUT_MS - 1);
  assert.deepEqual(exported, [4]);
  assert.equal(queue.lost["queue-full"], 3);
  await clock.advance(1);
  assert.deepEqual(failed, [4]);
  assert.equal(queue.lost["not-exported"], 4);
  await clock.advance(200);
  assert.deepEqual(exported, [4, 4, 4, 2]);
});

test("an export that fails or throws costs its batch alone", async () => {
  const { clock, queue, failed, put } = openQueue(["failed", "throws", "well"]);
  put(4);
  await clock.advance(1);
  put(4);
  await clock.advance(1);
  put(4);
  await clock.advance(1);
  assert.deepEqual(failed, [4, 4]);
  assert.equal(queue.lost["not-exported"], 8);
});

test("a stop exports what waits, and waits for no exporter longer than its bound", async () => {
  const well = openQueue(["well"]);
  well.put(7);
  const flushing = well.queue.close();
  await well.clock.advance(1);
  await flushing;
  assert.deepEqual(well.exported, [4, 3]);

  const hanging = openQueue(["never"]);
  hanging.put(9);
  let isOver = false;
  const stopping = hanging.queue.close().then(() => (isOver = true));
  await hanging.clock.advance(FLUSH_MS - 1);
  assert.equal(isOver, false);
  await hanging.clock.advance(1);
  await stopping;
  assert.equal(hanging.queue.lost["queue-full"], 0);
  assert.ok(hanging.queue.lost["not-exported"] >= 1);
  hanging.put(1);
  assert.equal(hanging.queue.lost["queue-full"], 1);
});
