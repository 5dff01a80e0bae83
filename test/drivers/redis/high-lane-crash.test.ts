/** Workers of a HIGH lane that die without a word, at any moment, while events arrive. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { laneKeys } from "@posthaste/shared/drivers/redis/high-lane/scripts.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { openCrashLane } from "./high-lane-crash-lane.ts";
import { sampleEnvelope } from "../../support/samples.ts";

const WORKERS = 2;
const ROUNDS = 10;
const ROUND_ITEMS = 200;
const APPEND_ITEMS = 20;
/** Fewer than the lines of a round's items, so that they always come. */
const LINES_BEFORE_KILL_MAX = 200;
const CHILD = fileURLToPath(new URL("high-lane-crash-child.ts", import.meta.url));
const DELETE: RedisScript = { name: "test-delete", returns: "text", lua: "return redis.call('UNLINK', unpack(KEYS))" };

/** What the workers said, over all of them. */
interface Reports {
  readonly firsts: string[];
  readonly repeats: string[];
  readonly acking: Set<string>;
  lineCount(): number;
  /** Resolves when there are more lines than `count`. */
  past(count: number): Promise<void>;
  add(line: string): void;
}

interface Worker {
  kill(): Promise<void>;
}

function createReports(): Reports {
  const firsts: string[] = [];
  const repeats: string[] = [];
  const acking = new Set<string>();
  let lineCount = 0;
  let waiting: { readonly count: number; readonly resolve: () => void } | null = null;
  return {
    firsts,
    repeats,
    acking,
    lineCount: () => lineCount,
    past: (count) => new Promise((resolve) => (lineCount > count ? resolve() : (waiting = { count, resolve }))),
    add(line) {
      const [word, id = "", mark] = line.split(" ");
      if (word === "acking") acking.add(id);
      if (word === "took") (mark === "first" ? firsts : repeats).push(id);
      lineCount++;
      if (waiting !== null && lineCount > waiting.count) waiting.resolve();
    },
  };
}

function startWorker(prefix: string, reports: Reports): Worker {
  const child = spawn(process.execPath, [...process.execArgv, CHILD, prefix], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const isRead = once(lines, "close");
  lines.on("line", (line) => reports.add(line));
  return {
    async kill() {
      child.kill("SIGKILL");
      await isRead;
    },
  };
}

test("high lane: whatever workers die, each event is acknowledged in the end, and is handed out unmarked once at most", async () => {
  const prefix = `test-${Buffer.from(systemEntropy.bytes(8)).toString("hex")}:`;
  const { lane, commands } = openCrashLane(prefix);
  const ids = Array.from({ length: ROUNDS * ROUND_ITEMS }, (_, index) => `evt_${index}`);
  const reports = createReports();
  const workers = Array.from({ length: WORKERS }, () => startWorker(prefix, reports));

  async function append(from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += APPEND_ITEMS) {
      await lane.append(ids.slice(at, at + APPEND_ITEMS).map((id) => sampleEnvelope(id, { priority: "HIGH" })));
    }
  }

  try {
    for (let round = 0; round < ROUNDS; round++) {
      const seenCount = reports.lineCount();
      const appended = append(round * ROUND_ITEMS, (round + 1) * ROUND_ITEMS);
      await reports.past(seenCount + Math.floor(systemEntropy.fraction() * LINES_BEFORE_KILL_MAX));
      await workers[round % WORKERS]?.kill();
      workers[round % WORKERS] = startWorker(prefix, reports);
      await appended;
    }
    for (let seenCount = 0; ; await reports.past(seenCount)) {
      seenCount = reports.lineCount();
      if ((await lane.depth()).count === 0) break;
    }
    assert.deepEqual(reports.acking, new Set(ids));
    assert.equal(reports.firsts.length, new Set(reports.firsts).size);
    assert.ok(reports.repeats.length > 0, "some workers died with items in their hands");
  } finally {
    for (const worker of workers) await worker.kill();
    await lane[Symbol.asyncDispose]();
    await commands.run(DELETE, Object.values(laneKeys(createKeySpace({ shards: 1, prefix }), 0, "high")), []);
    await commands[Symbol.asyncDispose]();
  }
});
