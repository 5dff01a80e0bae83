/** What an idle gateway and an idle processor cost: commands at Redis, CPU of each process, and of Redis itself. */
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { openDistributedBench } from "./distributed.ts";
import type { Finding } from "./figures.ts";

/** Clock ticks a second of /proc/PID/stat on every Linux that Bun runs on. */
const TICKS_PER_S = 100;
/** The start's own work is over by then. */
const SETTLE_MS = 5000;

export async function benchIdle({ seconds }: { seconds: number }): Promise<Finding[]> {
  await using bench = await openDistributedBench({ gateways: 1, processors: 1 });
  const redis = new Redis(bench.redisUrl);
  try {
    await Bun.sleep(SETTLE_MS);
    const pids = [bench.gateways[0]?.pid ?? 0, bench.processors[0]?.pid ?? 0];
    const before = { commands: await countCommands(redis), cpuMs: pids.map(cpuMs) };
    await Bun.sleep(seconds * 1000);
    const after = { commands: await countCommands(redis), cpuMs: pids.map(cpuMs) };
    const share = (index: number) =>
      `${((100 * ((after.cpuMs[index] ?? 0) - (before.cpuMs[index] ?? 0))) / (seconds * 1000)).toFixed(2)} %`;
    const names = new Set([...before.commands.keys(), ...after.commands.keys()]);
    const grown = [...names]
      .map((name) => [name, (after.commands.get(name) ?? 0) - (before.commands.get(name) ?? 0)] as const)
      // The count itself.
      .map(([name, calls]) => [name, name === "info" ? calls - 1 : calls] as const)
      .filter(([, calls]) => calls > 0);
    const total = grown.reduce((sum, [, calls]) => sum + calls, 0);
    const rows = [
      ["commands at Redis", `${(total / seconds).toFixed(2)} /s`],
      ...grown.map(([name, calls]) => [`  ${name}`, `${(calls / seconds).toFixed(2)} /s`]),
      ["CPU of the gateway", share(0)],
      ["CPU of the processor", share(1)],
    ];
    const title = `idle: one gateway and one processor over ${seconds} s`;
    return [{ title, header: ["what", "cost"], rows }];
  } finally {
    redis.disconnect();
  }
}

/** Of all clients, by name. */
async function countCommands(redis: Redis): Promise<Map<string, number>> {
  const text = await redis.info("commandstats");
  return new Map(
    [...text.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name = "", calls]) => [name, Number(calls)]),
  );
}

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(stat[11]) + Number(stat[12])) * 1000) / TICKS_PER_S;
}
