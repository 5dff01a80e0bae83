/** Load over HTTP by `wrk`: chosen because it costs the least CPU beside the server on a small machine. */
import { spawn, spawnSync } from "node:child_process";
import { exitWithUs } from "posthaste/exit-with-us.ts";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BENCH_KEY = "bench_operator_key_0123456789abcdef";
export const CONNECTIONS = 256;

/** An event with about 1 KB of body. */
export const EVENT_DATA = { note: "x".repeat(900), amount: 1234.5, items: [1, 2, 3], paid: true };
export const EVENT_BODY = JSON.stringify({ type: "invoice.paid", data: EVENT_DATA });

export interface Load {
  readonly rate: number;
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Finds wrk or installs it where that is possible (root on Debian); otherwise says how. */
export function requireWrk(): void {
  if (spawnSync("wrk", ["-v"]).error === undefined) return;
  process.stderr.write("wrk is not installed; trying: apt-get install -y wrk\n");
  spawnSync("apt-get", ["update"], { stdio: "ignore" });
  spawnSync("apt-get", ["install", "-y", "wrk"], { stdio: "ignore" });
  if (spawnSync("wrk", ["-v"]).error === undefined) return;
  throw new Error("This bench needs wrk on the PATH; install it with your package manager (apt-get install wrk)");
}

const USUAL_LOAD = { key: BENCH_KEY, body: EVENT_BODY, connections: CONNECTIONS, path: "/v1/events" };

/** What differs from the usual. */
export type Wish = Partial<typeof USUAL_LOAD>;

/** POSTs the body for `seconds`; throws when anything but 2xx came back, for then the figure means nothing. */
export async function postEvents(port: number, seconds: number, wish: Wish = {}): Promise<Load> {
  const { key, body, connections, path } = { ...USUAL_LOAD, ...wish };
  const folder = mkdtempSync(join(tmpdir(), "posthaste-bench-"));
  const script = join(folder, "post.lua");
  writeFileSync(
    script,
    `wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer ${key}"
wrk.body = [==[${body}]==]
done = function(summary, latency)
  io.write(string.format('{"count":%d,"us":%d,"p50":%d,"p99":%d,"bad":%d}\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
`,
  );
  const wrk = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, `http://127.0.0.1:${port}${path}`];
  const child = spawn("wrk", wrk, { stdio: ["ignore", "pipe", "inherit"] });
  exitWithUs(child);
  let output = "";
  for await (const chunk of child.stdout) output += String(chunk);
  rmSync(folder, { recursive: true });
  const line = output.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`wrk gave no figures:\n${output}`);
  const { count, us, p50, p99, bad } = JSON.parse(line) as Record<"count" | "us" | "p50" | "p99" | "bad", number>;
  if (bad > 0 || count === 0) throw new Error(`${bad} of ${count} requests failed; the figures mean nothing`);
  return { rate: (count * 1e6) / us, count, p50Ms: p50 / 1000, p99Ms: p99 / 1000 };
}

/** Of the floods of `tenants`: requests that never end, and readers and changers at once. */
export const UNFINISHED = 500;
export const READERS = 4;
export const CHANGERS = 4;
