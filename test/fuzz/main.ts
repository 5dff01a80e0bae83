/**
 * `npm run fuzz -- [--requests N] [--seed N] [--distributed] [--leak N]`: requests that are nearly right against a living gateway. Ends
 * with 1 when one is answered with a 5xx, with no problem, or not at all, when anything crashes, or when memory grows.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countIn, readWords } from "../support/script-words.ts";
import { openServices } from "../support/services.ts";
import { memoryFaults, objectsBeside } from "./memory-rule.ts";
import { runFuzz } from "./fuzz-run.ts";

const HELP = `Usage: npm run fuzz -- [--requests N] [--seed N] [--distributed] [--leak N]

  --requests N     how many (default 100000)
  --seed N         which (default 1)
  --distributed    on Redis and Kafka, which are started unless REDIS_URL and KAFKA_BROKERS name some
  --leak N         the program keeps N objects of each request: a run of 50,000 or more must fail by one

All of it stays on this machine.
`;

const { values } = readWords({
  help: HELP,
  options: {
    requests: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    distributed: { type: "boolean", default: false },
    leak: { type: "string", default: "0" },
  },
});

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-fuzz-"));
  const isDistributed = values.distributed;
  const seed = countIn(HELP, "seed", values.seed);
  const requests = countIn(HELP, "requests", values.requests);
  await using services = isDistributed ? await openServices({ env: process.env }) : null;
  const prefix = `fuzz${process.pid}`;
  const stores =
    services === null
      ? {}
      : {
          ...services.env,
          KAFKA_PREFIX: `${prefix}.`,
          REDIS_PREFIX: `${prefix}:`,
          KAFKA_PARTITIONS: "3",
          POSTHASTE_MASTER_KEY: Buffer.alloc(32, 11).toString("base64"),
        };
  const set = isDistributed ? "distributed" : "embedded";
  const env = { FUZZ_SET: set, FUZZ_FOLDER: folder, FUZZ_LEAK: values.leak, ...stores };
  const startedMs = performance.now();
  const report = await runFuzz({
    seed,
    requests,
    env,
    onCensus(done, census) {
      const sizes = `${census.objectCount} objects, ${objectsBeside(census)} beside caches and windows`;
      console.log(
        `${String(done).padStart(8)} requests  ${sizes}  heap ${mib(census.heapUsed)}  rss ${mib(census.rss)}`,
      );
    },
  });
  rmSync(folder, { recursive: true, force: true });
  const faults = [...report.faults, ...memoryFaults(report.censuses, requests)];
  console.log(`seed ${seed}, ${requests} requests, ${set}, ${Math.round((performance.now() - startedMs) / 1000)} s`);
  console.log("answers by status:", JSON.stringify(report.statuses));
  console.log("successes by route:", JSON.stringify(report.successes, null, 2));
  for (const each of faults) console.log(`FAULT: ${each}`);
  console.log(`${faults.length} faults`);
  return faults.length === 0 ? 0 : 1;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

process.exit(await main());
