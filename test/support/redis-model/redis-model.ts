/**
 * Redis in memory: the scripts of the product on a Lua virtual machine, over the commands that they use. One script runs
 * at a time, whole, as in Redis. What it promises is held against the same contract suites as a real server.
 */
import type { RedisArgument, RedisReply, RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { byteText, bytesOf, byteTextOfUtf8, utf8Of } from "./byte-text.ts";
import { runCommand } from "./commands.ts";
import { createKeyspace } from "./keyspace.ts";
import type { LuaReply } from "./lua.ts";
import { createLua } from "./lua.ts";

export interface RedisModel {
  /** Throws `ScriptError`. */
  run(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): RedisReply;
  publish(channel: string, message: string): void;
  /** Returns what ends it. */
  subscribe(channel: string, listener: (message: string) => void): () => void;
  length(list: string): number;
  /** Calls `listener` at each push to that list; returns what ends it. */
  watch(list: string, listener: () => void): () => void;
  clear(): void;
  /** Everything that lies there. */
  contents(): readonly { readonly key: string; readonly kind: string; readonly texts: readonly string[] }[];
  /** What lies under each key: entries, and bytes of texts, the key's own included. */
  weights(): readonly { readonly key: string; readonly entries: number; readonly bytes: number }[];
}

type Listeners<Message extends readonly unknown[]> = Map<string, Set<(...message: Message) => void>>;

/** `onCommand` gets the name of each command that a script runs. */
export function createRedisModel(nowMs: () => number, onCommand: (name: string) => void = () => undefined): RedisModel {
  const keys = createKeyspace(nowMs);
  const subscribers: Listeners<[message: string]> = new Map();
  const watchers: Listeners<[]> = new Map();
  const publish = (channel: string, message: string): void => tell(subscribers, channel, message);
  const pushed = (key: string): void => tell(watchers, utf8Of(key));
  const context = {
    keys,
    nowMs,
    pushed,
    publish: (channel: string, message: string) => publish(utf8Of(channel), utf8Of(message)),
  };
  const lua = createLua((command) => {
    onCommand(command[0] ?? "");
    return runCommand(context, command);
  });
  return {
    run(script, names, args) {
      const reply = lua.run(script.lua, names.map(byteTextOfUtf8), args.map(textOf), nowMs());
      return replyOf(reply, script.returns);
    },
    publish,
    subscribe: (channel, listener) => add(subscribers, channel, listener),
    length: (list) => keys.find(byteTextOfUtf8(list), "list")?.items.length ?? 0,
    watch: (list, listener) => add(watchers, list, listener),
    clear: () => keys.clear(),
    contents: () =>
      keys.names().map((key) => ({ key: utf8Of(key), kind: keys.typeOf(key), texts: keys.texts(key).map(utf8Of) })),
    weights: () => keys.names().map((key) => ({ key: utf8Of(key), ...keys.weight(key) })),
  };
}

function tell<Message extends readonly unknown[]>(all: Listeners<Message>, name: string, ...message: Message): void {
  for (const listener of Array.from(all.get(name) ?? [])) listener(...message);
}

function add<Message extends readonly unknown[]>(
  all: Listeners<Message>,
  name: string,
  listener: (...message: Message) => void,
): () => void {
  const listeners = all.get(name) ?? new Set();
  all.set(name, listeners);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) all.delete(name);
  };
}

function textOf(argument: RedisArgument): string {
  if (argument instanceof Uint8Array) return byteText(argument);
  return typeof argument === "number" ? String(argument) : byteTextOfUtf8(argument);
}

function replyOf(reply: LuaReply, returns: RedisScript["returns"]): RedisReply {
  if (reply === null || typeof reply === "number") return reply;
  if (typeof reply === "string") return returns === "bytes" ? bytesOf(reply) : utf8Of(reply);
  if ("error" in reply) throw new Error(reply.error);
  if ("status" in reply) return reply.status;
  return reply.map((each) => replyOf(each, returns));
}
