/** Knows what is under way at the seam `redis-commands`, so that a test can wait until nothing is. */
import type { RedisCommands, RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";

export interface CommandWatch extends AsyncDisposable {
  /** The same commands, counted. */
  watch(commands: RedisCommands): RedisCommands;
  /** Their owner has died: no further call is made, no answer and no message arrives. Resolves when none is under way. */
  forget(watched: RedisCommands): Promise<void>;
  /** Resolves when all is answered, heard and taken up. */
  quiet(): Promise<void>;
  /** Deletes the keys that begin so. */
  deleteAll(prefix: string): Promise<void>;
}

interface Watched {
  isDead: boolean;
  /** Lists that are waited for now. */
  readonly lists: Map<object, string>;
  barrier: Promise<Barrier> | null;
}

interface Barrier extends AsyncDisposable {
  /** Resolves when everything published before has been heard on this connection. */
  pass(): Promise<void>;
}

const LENGTH: RedisScript = { name: "test-list-length", returns: "text", lua: "return redis.call('LLEN', KEYS[1])" };

const DELETE: RedisScript = {
  name: "test-delete-prefix",
  returns: "text",
  lua: `
local cursor = "0"
repeat
  local page = redis.call("SCAN", cursor, "MATCH", ARGV[1], "COUNT", 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do redis.call("UNLINK", key) end
until cursor == "0"`,
};

/** `admin` becomes the watch's own and is disposed with it. */
export function createCommandWatch(options: { readonly admin: RedisCommands; readonly channel: string }): CommandWatch {
  const { admin } = options;
  const byCommands = new Map<RedisCommands, Watched>();
  const count: Count = { begun: 0, underWay: 0, ended: Promise.withResolvers() };
  const openBarrier = createBarriers(options);
  let begunAtQuiet = 0;

  async function isListWaitOver(): Promise<boolean> {
    for (const { lists } of byCommands.values()) {
      for (const key of lists.values()) {
        if (Number(await admin.run(LENGTH, [key], [])) > 0) return true;
      }
    }
    return false;
  }

  async function passBarriers(): Promise<void> {
    for (const { barrier, isDead } of byCommands.values()) {
      if (barrier !== null && !isDead) await (await barrier).pass();
    }
  }

  async function quiet(): Promise<void> {
    for (;;) {
      await turns();
      if (count.underWay > 0) {
        // Asleep until then: Redis needs the processor that we would spin on.
        await count.ended.promise;
        continue;
      }
      if (count.begun === begunAtQuiet) return;
      const seen = count.begun;
      const [isOver] = await Promise.all([isListWaitOver(), passBarriers()]);
      await turns();
      if (seen === count.begun && count.underWay === 0 && !isOver) {
        begunAtQuiet = seen;
        return;
      }
    }
  }

  return {
    watch(commands) {
      const process: Watched = { isDead: false, lists: new Map(), barrier: null };
      const watched = watchCommands(commands, process, count, openBarrier);
      byCommands.set(watched, process);
      return watched;
    },
    async forget(watched) {
      const process = byCommands.get(watched);
      if (process === undefined) return;
      process.isDead = true;
      process.lists.clear();
      while (count.underWay > 0) await count.ended.promise;
      byCommands.delete(watched);
    },
    quiet,
    async deleteAll(prefix) {
      await admin.run(DELETE, [], [`${prefix}*`]);
    },
    [Symbol.asyncDispose]: () => admin[Symbol.asyncDispose](),
  };
}

/** Calls of all processes. */
interface Count {
  begun: number;
  underWay: number;
  /** Resolves when the next one ends. */
  ended: PromiseWithResolvers<void>;
}

type OpenBarrier = (commands: RedisCommands) => Promise<Barrier>;

function createBarriers({ admin, channel }: Parameters<typeof createCommandWatch>[0]): OpenBarrier {
  let passes = 0;
  return async (commands) => {
    const waiting = new Map<string, () => void>();
    const subscription = await commands.subscribe(
      channel,
      (message) => waiting.get(message)?.(),
      () => undefined,
    );
    return {
      async pass() {
        const name = String(passes++);
        const heard = new Promise<void>((resolve) => waiting.set(name, resolve));
        await admin.publish(channel, name);
        await heard;
        waiting.delete(name);
      },
      [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose](),
    };
  };
}

function watchCommands(
  commands: RedisCommands,
  process: Watched,
  count: Count,
  openBarrier: OpenBarrier,
): RedisCommands {
  async function counted<Answer>(step: () => Promise<Answer>): Promise<Answer> {
    if (process.isDead) return await NEVER;
    count.begun++;
    count.underWay++;
    // Over with the answer, whether or not somebody lives to hear it.
    return await whileAlive(process, () => step().finally(() => endOne(count)));
  }
  const heard =
    <Args extends readonly unknown[]>(callback: (...args: Args) => void) =>
    (...args: Args): void => {
      if (!process.isDead) callback(...args);
    };
  return {
    ...commands,
    run: (script, keys, args) => counted(() => commands.run(script, keys, args)),
    publish: (to, message) => counted(() => commands.publish(to, message)),
    health: (keys) => counted(() => commands.health(keys)),
    subscribe(to, listener, connected) {
      process.barrier ??= openBarrier(commands);
      return counted(() => commands.subscribe(to, heard(listener), heard(connected)));
    },
    async waitForList(key, waitMs, signal) {
      if (process.isDead) return await NEVER;
      count.begun++;
      const entry = {};
      process.lists.set(entry, key);
      try {
        return await whileAlive(process, () => commands.waitForList(key, waitMs, signal));
      } finally {
        process.lists.delete(entry);
      }
    },
  };
}

function endOne(count: Count): void {
  count.underWay--;
  const { resolve } = count.ended;
  count.ended = Promise.withResolvers();
  resolve();
}

/** What the step answers, or throws; nothing any more when its process has died meanwhile. */
async function whileAlive<Answer>(process: Watched, step: () => Promise<Answer>): Promise<Answer> {
  try {
    const answer = await step();
    return process.isDead ? await NEVER : answer;
  } catch (error) {
    if (process.isDead) return await NEVER;
    throw error;
  }
}

/** Whoever awaits it is dead; nothing refers to them, and they are forgotten with the test. */
const NEVER = new Promise<never>(() => undefined);

async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => void setImmediate(resolve));
}
