/** A log whose reader is slow or gone: what waits is bounded and what is missing counted, and nobody else waits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createJsonLog, LINES_MAX } from "@posthaste/shared/drivers/json-log.ts";
import { createStreamSink } from "@posthaste/shared/runtime/stream-sink.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { START_MS } from "../support/samples.ts";

/** A pipe that takes `write`s, and says that it is full while `isFull`. */
function openPipe() {
  const listeners = new Map<string, () => void>();
  const on = (event: string, listener: () => void): unknown => listeners.set(event, listener);
  const pipe = {
    texts: [] as string[],
    isFull: false,
    write(text: string): boolean {
      pipe.texts.push(text);
      return !pipe.isFull;
    },
    on,
    once: on,
    emit: (event: "drain" | "error") => listeners.get(event)?.(),
  };
  return pipe;
}

function openLog() {
  const clock = createManualClock(START_MS);
  const pipe = openPipe();
  const log = createJsonLog({ clock, level: "info", write: createStreamSink(pipe) });
  return { clock, pipe, log };
}

const linesOf = (text = ""): number => text.split("\n").length - 1;

test("while the reader is slow lines wait up to a bound, what is past it is counted, and one write brings them", async () => {
  const { clock, pipe, log } = openLog();
  pipe.isFull = true;
  log.write("info", "first", {});
  await clock.settle();
  for (let line = 0; line < LINES_MAX + 5; line++) {
    log.write("info", "later", { line });
    if (line % 1000 === 0) await clock.settle();
  }
  await clock.settle();
  assert.equal(pipe.texts.length, 1);
  pipe.isFull = false;
  pipe.emit("drain");
  await clock.settle();
  assert.equal(pipe.texts.length, 2);
  assert.equal(linesOf(pipe.texts[1]), LINES_MAX + 1);
  assert.match(pipe.texts[1] ?? "", /"event":"log\.dropped","lines":5\}\n$/);
  log.write("info", "last", {});
  await clock.settle();
  assert.match(pipe.texts[2] ?? "", /"last"/);
});

test("lines that came while the reader was slow are written when it goes on, in their order", async () => {
  const { clock, pipe, log } = openLog();
  pipe.isFull = true;
  for (const event of ["a", "b", "c"]) {
    log.write("info", event, {});
    await clock.settle();
  }
  pipe.isFull = false;
  pipe.emit("drain");
  await clock.settle();
  const events = [...pipe.texts.join("").matchAll(/"event":"(\w)"/g)].map(([, event]) => event);
  assert.deepEqual(events, ["a", "b", "c"]);
});

test("a reader that is gone loses lines, and keeps none in memory", async () => {
  const { clock, pipe, log } = openLog();
  pipe.isFull = true;
  log.write("info", "first", {});
  await clock.settle();
  pipe.emit("error");
  await clock.settle();
  for (let line = 0; line < 3; line++) {
    log.write("info", "later", {});
    await clock.settle();
  }
  assert.equal(pipe.texts.length, 1);
});
