/**
 * The seam `redis-commands` over TCP: a single Redis, a master behind Sentinels, or a Cluster. One connection carries the
 * scripts, pipelined; subscriptions and each list that is waited for have their own.
 */
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import type { RedisClient } from "./connect.ts";
import { connectRedis, connectToNode } from "./connect.ts";
import type { RedisCalls } from "./ioredis-calls.ts";
import { createRedisCalls } from "./ioredis-calls.ts";
import { createListWaits } from "./ioredis-list-waits.ts";
import { createSubscriptions } from "./ioredis-subscriptions.ts";
import type { RedisMemory } from "./memory.ts";
import { memoryOfAll } from "./memory.ts";
import type { ScriptTime } from "./prelude.ts";
import { createScriptSources } from "./prelude.ts";
import type { RedisArgument, RedisCommands, RedisReply, RedisScript } from "./redis-commands.ts";
import { COMMAND_MS_MAX } from "./redis-commands.ts";
import { MAY_WRITE, healthSentence } from "./redis-faults.ts";
import { parseRedisUrl } from "./redis-url.ts";

export interface OpenRedisOptions {
  readonly url: string;
  /** The setting that `url` comes from, for messages: REDIS_URL unless given. */
  readonly name?: string;
  readonly clock: Clock;
  /** For the jitter of reconnections. */
  readonly entropy: Pick<Entropy, "fraction">;
  /** What `now` is in scripts: the server's time, or `clock.now()`. */
  readonly time: ScriptTime;
  /** Gets errors of connections, once for each time one is lost, and what listeners threw. Must not throw. */
  readonly onFault: (error: unknown) => void;
}

export interface OpenedRedis extends RedisCommands {
  /** False while calls are refused at once because Redis failed several times in a row. */
  isReachable(): boolean;
  /** False while calls wait for a connection. */
  isConnected(): boolean;
  /** Of all masters together; null when they do not say. Rejects with `store-unavailable`. */
  memory(): Promise<RedisMemory | null>;
}

const RECONNECT_MS = 50;
const RECONNECT_MS_MAX = 2000;
/** A blocked read is silent for as long as its caller asked; the deadline of each read watches over it. */
const BLOCKED_SILENCE_MS_MAX = 24 * 3600 * 1000;

/** Returns at once and connects in the background; `startup-check.ts` tells whether the address is right. */
export function openRedis(options: OpenRedisOptions): OpenedRedis {
  const { clock, entropy, onFault } = options;
  const address = parseRedisUrl(options.url, options.name ?? "REDIS_URL");
  const retryMs = (times: number): number =>
    Math.min(RECONNECT_MS * 2 ** Math.min(times - 1, 10), RECONNECT_MS_MAX) * (0.5 + entropy.fraction() / 2);
  const connection = { address, connectionName: "posthaste", retryMs, isPipelined: true, silenceMsMax: COMMAND_MS_MAX };
  const client = connectRedis(connection);
  reportLosses(client, onFault);
  const calls = createRedisCalls({ client, clock });
  const lists = createListWaits({
    clock,
    connect() {
      const own = connectRedis({ ...connection, isPipelined: false, silenceMsMax: BLOCKED_SILENCE_MS_MAX });
      own.on("error", () => undefined);
      return own;
    },
  });
  const subscriptions = createSubscriptions({
    clock,
    connect: (tries) => connectToNode({ ...connection, retryMs: () => null, isPipelined: false }, tries),
    retryMs,
    onFault,
  });
  return {
    run: createRunner({ client, calls, clock, time: options.time }),
    waitForList: (key, waitMs, signal) => lists.wait(key, waitMs, signal),
    async publish(channel, message) {
      await calls.call(() => client.publish(channel, message));
    },
    subscribe: (channel, listener, connected) => subscriptions.subscribe({ channel, listener, connected }),
    async health(keys) {
      const asked = address.kind === "cluster" ? keys : keys.slice(0, 1);
      const answers = await Promise.allSettled(asked.map((key) => calls.ask(() => client.eval(MAY_WRITE, 1, key))));
      return healthSentence(answers, address.name);
    },
    isReachable: () => calls.isReachable(),
    isConnected: () => client.status === "ready",
    memory: () => calls.call(() => memoryOfAll(client)),
    [Symbol.asyncDispose]() {
      calls.stop();
      lists.stop();
      subscriptions.stop();
      client.disconnect();
      return Promise.resolve();
    },
  };
}

/** Each command of ioredis has a twin that answers with bytes; its types leave out these two. */
interface ByteCalls {
  evalshaBuffer(sha: string, keyCount: number, ...values: (string | number | Buffer)[]): Promise<unknown>;
  evalBuffer(text: string, keyCount: number, ...values: (string | number | Buffer)[]): Promise<unknown>;
}

/** EVALSHA first; EVAL, which also loads the script, when Redis does not know it. */
function createRunner(options: {
  readonly client: RedisClient;
  readonly calls: RedisCalls;
  readonly clock: Clock;
  readonly time: ScriptTime;
}): RedisCommands["run"] {
  const { client, calls, clock, time } = options;
  const sourceOf = createScriptSources(time);
  const bytes = client as unknown as ByteCalls;

  function send(script: RedisScript, keyCount: number, values: (string | number | Buffer)[]): Promise<unknown> {
    const { sha, text } = sourceOf(script);
    const isText = script.returns === "text";
    const first = isText ? client.evalsha(sha, keyCount, ...values) : bytes.evalshaBuffer(sha, keyCount, ...values);
    return first.catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return isText ? client.eval(text, keyCount, ...values) : bytes.evalBuffer(text, keyCount, ...values);
    });
  }

  return (script, keys, args) => {
    const hidden = time === "clock" ? [clock.now()] : [];
    const values = [...keys, ...hidden, ...args.map(toValue)];
    return calls.call(() => send(script, keys.length, values), script.silenceMsMax) as Promise<RedisReply>;
  };
}

function toValue(argument: RedisArgument): string | number | Buffer {
  if (!(argument instanceof Uint8Array)) return argument;
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength);
}

/** The first error of each time that the connection is gone, not one for each try. */
function reportLosses(client: RedisClient, onFault: (error: unknown) => void): void {
  let isReported = false;
  client.on("ready", () => {
    isReported = false;
  });
  client.on("error", (error: unknown) => {
    if (isReported) return;
    isReported = true;
    onFault(error);
  });
}
