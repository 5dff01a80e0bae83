/** Processes that share one directory in Redis, each with a clock, a notifier and a line to Redis of its own. */
import { createNotifier } from "@posthaste/shared/drivers/memory/notifier.ts";
import type { RedisDirectory } from "@posthaste/shared/drivers/redis/directory/directory.ts";
import { openRedisDirectory } from "@posthaste/shared/drivers/redis/directory/directory.ts";
import type { MemoryBounds } from "@posthaste/shared/drivers/redis/directory/memory.ts";
import { MEMORY_BOUNDS } from "@posthaste/shared/drivers/redis/directory/memory.ts";
import { createRedisNotifier } from "@posthaste/shared/drivers/redis/notifier.ts";
import type { RedisCommands, RedisReply, RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createSealer, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import type { Notifier } from "@posthaste/shared/ports/notifier.ts";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { createSwitchedCommands } from "./switch.ts";
import type { RedisDrivers, RedisHarness, RedisProcess } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import { START_MS } from "../../support/samples.ts";

const sealer = createSealer(MASTER_KEY);

async function openDrivers({ commands, keys, clock, bounds, onFault }: RedisProcess): Promise<RedisDrivers> {
  const notifier = createRedisNotifier({ commands, keys, entropy: systemEntropy, onFault });
  const directory = await openRedisDirectory({
    commands,
    keys,
    sealer,
    notifier,
    clock,
    entropy: systemEntropy,
    endpointsMax: bounds.endpointsMax ?? 1000,
    emptyTenantsMax: bounds.emptyTenantsMax ?? 1000,
    wasUsed: () => Promise.resolve(false),
    onFault,
  });
  const dispose = async (): Promise<void> => {
    await directory[Symbol.asyncDispose]();
    await notifier[Symbol.asyncDispose]();
  };
  return { directory, notifier, dispose };
}

export const openDirectoryHarness = openRedisHarness(openDrivers);
export const openShardedDirectoryHarness = openRedisHarness(openDrivers, { shards: 3 });

export interface DirectoryProcess extends AsyncDisposable {
  readonly directory: RedisDirectory;
  readonly clock: ManualClock;
  readonly faults: readonly unknown[];
  /** Names of the scripts that were asked for. */
  readonly scripts: readonly string[];
  setAway(isAway: boolean): void;
  /** As if its connection to Redis were lost and there again. */
  reconnect(): void;
  /** Resolves when nothing is under way. */
  quiet(): Promise<void>;
  /** All that lies under the prefix of the harness, by key. */
  dump(): Promise<RedisReply>;
  /** Deletes all that lies under the prefix, as FLUSHALL would. */
  flush(): Promise<void>;
  /** Remembers all that lies under the prefix; the answer sets it back to that, as a failover to an old replica would. */
  snapshot(): Promise<() => Promise<void>>;
}

export async function openProcess(
  harness: RedisHarness,
  options: {
    /** None of its own hears announcements over Redis. */
    readonly notifier?: Notifier;
    readonly memory?: MemoryBounds;
    readonly isSentTwice?: boolean;
    readonly isAway?: boolean;
    readonly sealer?: Sealer;
    /** The deployment had events before, as the log shows. */
    readonly wasUsed?: boolean;
  } = {},
): Promise<DirectoryProcess> {
  const clock = createManualClock(START_MS);
  const faults: unknown[] = [];
  const onFault = (error: unknown): void => void faults.push(error);
  const line = createSwitchedCommands(harness.commands, { isSentTwice: options.isSentTwice ?? false });
  line.setAway(options.isAway ?? false);
  const connections: (() => void)[] = [];
  const subscribe: RedisCommands["subscribe"] = (channel, listener, connected) => {
    connections.push(connected);
    return line.commands.subscribe(channel, listener, connected);
  };
  const directory = await openRedisDirectory({
    commands: { ...line.commands, subscribe },
    keys: harness.keys,
    sealer: options.sealer ?? sealer,
    notifier: options.notifier ?? createNotifier({ onFault }),
    clock,
    entropy: systemEntropy,
    memory: options.memory ?? MEMORY_BOUNDS,
    wasUsed: () => Promise.resolve(options.wasUsed ?? false),
    onFault,
  });
  const pattern = `${harness.keys.channel("")}*`;
  const all = (script: RedisScript): Promise<RedisReply> => runOnAll(harness.commands, script, pattern);
  return {
    directory,
    clock,
    faults,
    scripts: line.scripts,
    setAway: line.setAway,
    reconnect: () => connections.forEach((connected) => connected()),
    quiet: line.quiet,
    dump: () => all(DUMP),
    async flush() {
      await all(FLUSH);
    },
    async snapshot() {
      const copies = await all(COPY_AWAY);
      return async () => {
        await all(FLUSH);
        await harness.commands.run(COPY_BACK, [], (copies as string[]).flat());
      };
    },
    [Symbol.asyncDispose]: async () => await directory[Symbol.asyncDispose](),
  };
}

async function runOnAll(commands: RedisCommands, script: RedisScript, pattern: string): Promise<RedisReply> {
  return await commands.run(script, [], [pattern]);
}

/** ARGV: 1 pattern of keys. Every key that it names is walked over. */
const eachKey = (step: string): string => `
local found = {}
local cursor = "0"
repeat
  local page = redis.call("SCAN", cursor, "MATCH", ARGV[1], "COUNT", 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do ${step} end
until cursor == "0"
return found`;

const FLUSH: RedisScript = {
  name: "test-directory-flush",
  returns: "text",
  lua: eachKey(`redis.call("UNLINK", key)`),
};

const DUMP: RedisScript = {
  name: "test-directory-dump",
  returns: "text",
  lua: eachKey(`
    local kind = redis.call("TYPE", key).ok
    local value = key
    if kind == "string" then value = redis.call("GET", key)
    elseif kind == "hash" then value = redis.call("HGETALL", key)
    elseif kind == "zset" then value = redis.call("ZRANGE", key, 0, -1) end
    table.insert(found, {key, kind, value})`),
};

/** Hexadecimal, because a dump is bytes. */
const COPY_AWAY: RedisScript = {
  name: "test-directory-copy-away",
  returns: "text",
  lua: eachKey(`
    local bytes = redis.call("DUMP", key)
    local hex = string.gsub(bytes, ".", function(one) return string.format("%02x", string.byte(one)) end)
    table.insert(found, key)
    table.insert(found, hex)`),
};

const COPY_BACK: RedisScript = {
  name: "test-directory-copy-back",
  returns: "text",
  lua: `
for index = 1, #ARGV, 2 do
  local bytes = string.gsub(ARGV[index + 1], "%x%x", function(two) return string.char(tonumber(two, 16)) end)
  redis.call("RESTORE", ARGV[index], 0, bytes, "REPLACE")
end`,
};
