/**
 * A worker on a HIGH lane, for the crash test: `high-lane-crash-child.ts PREFIX` takes, works a moment and acknowledges
 * until it is killed. It prints a line for each item at each step: `took ID first|repeat`, `acking ID`, `acked ID`.
 */
import { writeSync } from "node:fs";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import { openCrashLane } from "./high-lane-crash-lane.ts";

const WORK_MS_MAX = 10;
const never = new AbortController().signal;

/** Written before it returns: what a killed process did is known but for the step that it was in. */
function say(word: string, items: readonly LaneItem[], end: (item: LaneItem) => string): void {
  writeSync(1, items.map((item) => `${word} ${item.envelope.id}${end(item)}\n`).join(""));
}

const { lane } = openCrashLane(process.argv[2] ?? "");
for (;;) {
  const items = await lane.take(8, never);
  say("took", items, ({ isRepeat }) => (isRepeat ? " repeat" : " first"));
  await systemClock.sleep(systemEntropy.fraction() * WORK_MS_MAX, never);
  say("acking", items, () => "");
  await lane.ack(items);
  say("acked", items, () => "");
}
