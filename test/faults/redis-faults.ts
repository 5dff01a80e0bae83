/** What can befall a Redis. */
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { RedisServer } from "../support/services/redis.ts";
import type { NetworkFault } from "../support/tcp-proxy.ts";
import { cutEvery, flap, onNetwork } from "./network-faults.ts";
import type { Fault, Stage } from "./scenario.ts";
import type { ProxiedRedis, Stores } from "./stores.ts";

type Which = "redis" | "cache";

/** All that HIGH has, waiting or held, and all that lies in a stream; then nothing, when it is told to flush. */
const HELD_SCRIPT = `
local held = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'stream' then
    for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
      for _, text in ipairs(entry[2]) do held[#held + 1] = text end
    end
  elseif kind == 'zset' and string.sub(key, -14) == 'lane:high:kept' then
    for _, name in ipairs(redis.call('ZRANGE', key, 0, -1)) do held[#held + 1] = name end
  end
end
if ARGV[1] == 'flush' then redis.call('FLUSHALL') end
return held`;
const FAILOVER_WITHIN_MS = 20_000;
const IGNORE = (): undefined => undefined;

export const redisNetwork = (fault: NetworkFault, which: Which = "redis"): Fault =>
  onNetwork((stage) => [redisOf(stage, which).proxy], fault);
export const redisCut = (everyMs: number): Fault => cutEvery((stage) => [redisOf(stage).proxy], everyMs);
export const redisFlapping = (everyMs: number): Fault => flap((stage) => [redisOf(stage).proxy], everyMs);

/** SIGKILL; comes again with its append-only file. */
export const redisKilled: Fault = async (stage) => {
  const { server } = redisOf(stage);
  await server.kill();
  return server.restart;
};

/** SIGTERM, and at once again. */
export const redisRestarted: Fault = async (stage) => {
  await redisOf(stage).server.restart();
  return () => Promise.resolve();
};

export const redisFrozen: Fault = (stage) => {
  const { server } = redisOf(stage);
  server.freeze();
  return Promise.resolve(() => Promise.resolve(server.thaw()));
};

/** Of memory: reads go on, writes are refused. */
export const redisFull = (which: Which = "redis"): Fault => setting(which, "maxmemory", "1mb", "0");
/** As a master that has lost its replicas. */
export const redisRefusesWrites: Fault = setting("redis", "min-replicas-to-write", "1", "0");

/** One script that goes on for so long; after 5 s Redis says so to all others. */
export const redisBlocked =
  (ms: number): Fault =>
  (stage) => {
    const loop = `local from = os.clock() while os.clock() - from < ${ms / 1000} do end`;
    const running = redisOf(stage).server.ask("EVAL", loop, "0").catch(IGNORE);
    return Promise.resolve(() => running.then(IGNORE));
  };

/** What it held is noted in the same step. */
export const redisFlushed: Fault = async (stage) => {
  note(stage, await redisOf(stage).server.ask("EVAL", HELD_SCRIPT, "0", "flush"));
  return () => Promise.resolve();
};

export const cacheFlushed: Fault = async (stage) => {
  await redisOf(stage, "cache").server.ask("FLUSHALL");
  return () => Promise.resolve();
};

/** Killed, and back without its append-only file. */
export const redisEmptied: Fault = async (stage) => {
  const { server, proxy } = redisOf(stage);
  await proxy.set({ kind: "down" });
  note(stage, await server.ask("EVAL", HELD_SCRIPT, "0", "keep"));
  await server.kill();
  rmSync(join(server.folder, "appendonlydir"), { recursive: true });
  return async () => {
    await server.restart();
    await proxy.set({ kind: "none" });
  };
};

/** The master dies or stands still until the fault ends, and a replica takes its place. */
export const redisFailedOver =
  (how: "kill" | "freeze"): Fault =>
  async (stage) => {
    const { sentinel } = stage.stores;
    if (sentinel === null) throw new Error("a failover needs the layout with Sentinels");
    const lost = await sentinel.master();
    await lost[how]();
    await waitFor({
      fact: "the Sentinels to name another master",
      withinMs: FAILOVER_WITHIN_MS,
      holds: async () => (await sentinel.master()).port !== lost.port,
    });
    const next = await sentinel.master();
    noteUnreplicated(stage, lost, next);
    return async () => {
      if (how === "kill") await lost.restart();
      else lost.thaw();
    };
  };

function redisOf({ stores }: Stage, which: Which = "redis"): ProxiedRedis {
  const redis = stores[which];
  if (redis === null) throw new Error(`the layout ${stores.layout} has no ${which} of this kind`);
  return redis;
}

function setting(which: Which, name: string, value: string, usual: string): Fault {
  return async (stage) => {
    const { server } = redisOf(stage, which);
    await server.ask("CONFIG", "SET", name, value);
    return async () => void (await server.ask("CONFIG", "SET", name, usual));
  };
}

/** Of these, those that still lie in Redis: nobody has lost them, and nobody delivers them. */
export async function heldInRedis({ redis, sentinel }: Stores, ids: readonly string[]): Promise<readonly string[]> {
  const server = redis?.server ?? (await sentinel?.master());
  const held = (await server?.ask("EVAL", HELD_SCRIPT, "0", "keep").catch(() => "")) ?? "";
  return ids.filter((id) => held.includes(id));
}

function note({ book }: Stage, held: string): void {
  book.lose((id) => held.includes(id), systemClock.monotonic());
}

/** What the old master wrote down and the new one never heard of. */
function noteUnreplicated({ book }: Stage, lost: RedisServer, next: RedisServer): void {
  const written = appendOnlyText(lost);
  const heard = appendOnlyText(next);
  book.lose((id) => written.includes(id) && !heard.includes(id), systemClock.monotonic());
}

function appendOnlyText({ folder }: RedisServer): string {
  const files = join(folder, "appendonlydir");
  return readdirSync(files)
    .map((name) => readFileSync(join(files, name), "latin1"))
    .join("");
}
