/**
 * `bun test/simulation/run-seeds.ts --seeds 1000 [--from N] [--fleet]`: many worlds, of one process on its disk or of a
 * fleet on Redis and a log; `SEED=n` alone replays one with its whole trace.
 */
import { parseArgs } from "node:util";
import type { WorldResult } from "./world.ts";
import { runFleet } from "./fleet/fleet-world.ts";
import { runWorld } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    keep: { type: "string", default: "1" },
    fleet: { type: "boolean", default: false },
  },
});

const run = values.fleet ? runFleet : runWorld;

function report({ seed, violations, tail }: WorldResult): void {
  console.log(tail.join("\n"));
  console.log(`\nSEED=${seed}`);
  for (const violation of violations) console.log(`  ${violation}`);
}

async function replay(seed: number): Promise<boolean> {
  const result = await run(seed, { linesKept: 1_000_000 });
  report(result);
  console.log(
    `${result.steps} steps, ${result.events} events, ${result.attempts} attempts, ${result.processes} processes, ${result.hash}`,
  );
  return result.violations.length === 0;
}

async function runMany(from: number, count: number, failuresKept: number): Promise<boolean> {
  const startedAtMs = performance.now();
  const failures: WorldResult[] = [];
  const sum = { steps: 0, events: 0, attempts: 0, processes: 0 };
  for (let seed = from; seed < from + count && failures.length < failuresKept; seed++) {
    const result = await run(seed);
    for (const name of ["steps", "events", "attempts", "processes"] as const) sum[name] += result[name];
    if (result.violations.length > 0) {
      failures.push(result);
      if (failures.length === 1) report(result);
      else console.log(`SEED=${seed}\n  ${result.violations.join("\n  ")}`);
    }
    if ((seed - from + 1) % 100 === 0) {
      const seconds = (performance.now() - startedAtMs) / 1000;
      console.log(
        `${seed - from + 1} seeds in ${seconds.toFixed(1)} s (${((seed - from + 1) / seconds).toFixed(1)}/s): ${JSON.stringify(sum)}`,
      );
    }
  }
  console.log(
    failures.length === 0
      ? `${count} seeds kept every promise`
      : `${failures.length} seeds failed: ${failures.map(({ seed }) => seed).join(" ")}`,
  );
  return failures.length === 0;
}

const single = process.env["SEED"];
const isFine =
  single === undefined
    ? await runMany(Number(values.from), Number(values.seeds), Number(values.keep))
    : await replay(Number(single));
process.exitCode = isFine ? 0 : 1;
