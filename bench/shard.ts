/**
 * What one Redis carries of HIGH events: each is published, taken, settled and written to ledger and stats by the real gateway
 * and processor, but for the network: requests and deliveries stay in the driving processes, which have the two cores
 * with Redis and cost a good deal more than it. So the rate that one core of Redis would carry is
 * reckoned from its CPU time for each event. Redis counts for all of its clients: give it to nobody else meanwhile.
 */
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import type { DistributedBench } from "./distributed.ts";
import { openDistributedBench } from "./distributed.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import { within } from "./in-bounds.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

const DRIVERS = 2;
/** Events are of each in turn. */
const TENANTS = 8;
/** Requests under way of each driver that publishes as fast as they are taken. */
const AT_ONCE = 256;
/** Events a second of each driver that publishes at a constant rate; calls to Redis share less then. */
const PACE = 200;
const WARM_UP = 4000;
const ASK_MS = 50;
const SETTLE_MS_MAX = 120_000;
const START_MS_MAX = 60_000;

const PARTS = { "as fast as taken": "offer", [`${PACE * DRIVERS} a second`]: "pace" } as const;

/** What Redis has done since it was started. */
interface Work {
  readonly calls: ReadonlyMap<string, number>;
  readonly cpuMs: number;
}

/** For each event, but for `rate` and `busy`. */
interface Round {
  /** Events a second, from the first publish until the last is settled. */
  readonly rate: number;
  readonly scripts: number;
  readonly commands: number;
  readonly cpuMs: number;
  /** Share of one core that Redis used. */
  readonly busy: number;
  readonly calls: ReadonlyMap<string, number>;
}

export async function benchShard(wish: { rounds: number; events: number }): Promise<Finding[]> {
  const { rounds, events } = wish;
  const env = { POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64") };
  await using bench = await openDistributedBench({ gateways: 1, processors: 0, env });
  await using stack = new AsyncDisposableStack();
  const keys = await addTenants(bench);
  const start = () => startSubject("in-process.ts", { ...bench.env, KEYS: keys.join(",") });
  const starts = Promise.all(Array.from({ length: DRIVERS }, async () => stack.use(await start())));
  const drivers = await within(START_MS_MAX, `the start of ${DRIVERS} driving processes`, starts);
  const redis = stack.adopt(new Redis(bench.redisUrl), (client) => client.disconnect());
  await drive(drivers, "offer", WARM_UP);
  const measured = new Map(Object.keys(PARTS).map((name) => [name, [] as Round[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, command] of Object.entries(PARTS)) {
      const before = await workOf(redis);
      const seconds = await drive(drivers, command, command === "pace" ? events / 4 : events);
      measured.get(name)?.push(roundOf(before, await workOf(redis), command === "pace" ? events / 4 : events, seconds));
    }
  }
  const title =
    `shard: ${rounds} interleaved rounds of ${events} HIGH events of 1 KB (a quarter at a constant rate), ${TENANTS} tenants, ` +
    `${DRIVERS} driving processes, medians and spread; for each event where nothing else is said`;
  return [{ title, ...figuresOf(measured), note: noteOf(measured) }];
}

async function addTenants({ post }: DistributedBench): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let index = 0; index < TENANTS; index += 1) {
    const tenant = `tenant${index}`;
    await post("/v1/endpoints", { url: `http://127.0.0.1:9/${index}`, tenant, event_types: ["*"] });
    const rateLimit = { limit: 100_000, window_ms: 1000 };
    const made = await post("/v1/api-keys", { name: tenant, tenant, scopes: ["publish"], rate_limit: rateLimit });
    keys.push(String(made["key"]));
  }
  return keys;
}

/** Resolves when all are settled, and ledger and stats are written, with the seconds until they were settled. */
async function drive(drivers: readonly Subject[], command: "offer" | "pace", events: number): Promise<number> {
  const { sent: before } = await stateOf(drivers);
  const startedAtMs = performance.now();
  const line = `${command} ${events / drivers.length} ${command === "pace" ? PACE : AT_ONCE}`;
  await within(SETTLE_MS_MAX, `publishing ${events} events`, Promise.all(drivers.map((driver) => driver.ask(line))));
  for (;;) {
    const { sent, held } = await stateOf(drivers);
    if (sent - before >= events && held === 0) break;
    if (performance.now() - startedAtMs > SETTLE_MS_MAX)
      throw new Error(`${sent - before} of ${events} events were sent in ${SETTLE_MS_MAX / 1000} s, ${held} are held`);
    await Bun.sleep(ASK_MS);
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  await within(SETTLE_MS_MAX, "writing ledger and stats", Promise.all(drivers.map((driver) => driver.ask("flush"))));
  return seconds;
}

async function stateOf(drivers: readonly Subject[]): Promise<{ readonly sent: number; readonly held: number }> {
  const states = await Promise.all(drivers.map((driver) => driver.ask("state")));
  const sumOf = (name: string): number => states.reduce((sum, state) => sum + Number(state[name]), 0);
  return { sent: sumOf("sent"), held: sumOf("held") };
}

async function workOf(redis: Redis): Promise<Work> {
  const [stats, cpu] = [await redis.info("commandstats"), await redis.info("cpu")];
  const counts = Array.from(stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm), ([, name = "", calls]) => {
    return [name, Number(calls)] as const;
  });
  const seconds = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(cpu)?.[1]);
  return { calls: new Map(counts), cpuMs: (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1000 };
}

/** A script's own call is none of the commands; those that it makes are. */
const SCRIPT_CALLS = new Set(["evalsha", "eval", "fcall"]);

function roundOf(before: Work, after: Work, events: number, seconds: number): Round {
  const calls = new Map(
    Array.from(after.calls, ([name, count]) => [name, (count - (before.calls.get(name) ?? 0)) / events] as const),
  );
  const sum = (isCounted: (name: string) => boolean): number =>
    [...calls].reduce((total, [name, count]) => total + (isCounted(name) ? count : 0), 0);
  const cpuMs = after.cpuMs - before.cpuMs;
  return {
    rate: events / seconds,
    scripts: sum((name) => SCRIPT_CALLS.has(name)),
    commands: sum((name) => !SCRIPT_CALLS.has(name)),
    cpuMs: cpuMs / events,
    busy: cpuMs / 1000 / seconds,
    calls,
  };
}

function figuresOf(measured: ReadonlyMap<string, readonly Round[]>): Pick<Finding, "header" | "rows" | "plotted"> {
  const rows = [...measured].map(([name, rounds]) => {
    const cell = (pick: (round: Round) => number, digits: number): string => median(rounds.map(pick)).toFixed(digits);
    return [
      name,
      cell(({ rate }) => rate, 0),
      cell(({ scripts }) => scripts, 2),
      cell(({ commands }) => commands, 1),
      cell(({ cpuMs }) => cpuMs, 3),
      spreadText(
        rounds.map(({ cpuMs }) => cpuMs),
        3,
      ),
      cell(({ busy }) => busy, 2),
      cell(({ cpuMs }) => 1000 / cpuMs, 0),
    ];
  });
  const header = [
    "published",
    "events/s",
    "script calls",
    "commands",
    "Redis CPU ms",
    "spread",
    "of a core",
    "events/s of a full core",
  ];
  return { header, rows, plotted: 7 };
}

const NAMED_MAX = 12;

/** The commands that are most of them, for each event, of the last round of each part. */
function noteOf(measured: ReadonlyMap<string, readonly Round[]>): string {
  const parts = [...measured].map(([name, rounds]) => {
    const most = [...(rounds.at(-1)?.calls ?? [])].toSorted(([, left], [, right]) => right - left).slice(0, NAMED_MAX);
    return `${name}: ${most.map(([command, count]) => `${command} ${count.toFixed(2)}`).join(", ")}`;
  });
  return `commands of an event, ${parts.join("; ")}`;
}
