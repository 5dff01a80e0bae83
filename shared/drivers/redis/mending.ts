/**
 * Keys that somebody overwrote with something of another type. Those that stand for nothing but work under way, or that build
 * themselves up again, are put aside and begun anew, so that one of them does not stop a whole shard: what lay in them was
 * gone already. Any other stays as it is, and what is asked of it is refused with `store-unavailable`.
 */
import { isDamage } from "../../domain/errors.ts";
import { recordDamaged } from "./client/redis-faults.ts";
import { luaScript } from "./client/lua-script.ts";
import { listOf, textOf } from "./client/reply.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";

const PUT_ASIDE: RedisScript = luaScript({ name: "put-aside", returns: "text", files: ["put-aside"] });

/** The part of a name behind its hash tag, and the type that its store gives it. The first that matches counts. */
const TYPES = [
  [/^lane:(?:[a-z]+:held|tally)$/, "hash"],
  [/^lane:[a-z]+(?::turns|:fresh|:bell)?$/, "list"],
  [/^lane:[a-z]+:(?:leases|holders|kept|known)$/, "zset"],
  [/^limit(?::.+|-subjects)$/, "zset"],
  [/^limit-clock$/, "hash"],
  [/^(?:claim:.+|claims-weight(?::.+)?|lease:.+)$/, "hash"],
  [/^cancelled$/, "zset"],
  [/^(?:cancelled-counts|attempts-begun)$/, "hash"],
  [/^attempts-begun:times$/, "zset"],
  [/^begun:.+$/, "string"],
  [/^directory:forgotten$/, "string"],
  [/^directory:emptied$/, "zset"],
  [/^directory:changes:.+$/, "zset"],
  [/^directory:repaired:.+$/, "hash"],
  [/^spool$/, "stream"],
  [/^spool:bytes$/, "string"],
  [/^quarantine$/, "hash"],
  [/^quarantine:order$/, "zset"],
] as const;

/** `onFault` is told of each key that was put aside. Costs nothing while all is well. */
export function withMending(commands: RedisCommands, onFault: (error: unknown) => void): RedisCommands {
  /** True when no key of another type is in the way, by now: another call may have put it aside. */
  async function isMended(keys: readonly string[], error: unknown): Promise<boolean> {
    if (!isDamage(error)) return false;
    const typed = keys.flatMap((key) => typedKey(key) ?? []);
    if (typed.length === 0) return false;
    const types = typed.map(({ type }) => type);
    const moved = listOf(
      await commands.run(
        PUT_ASIDE,
        typed.map(({ key }) => key),
        types,
      ),
    ).map(textOf);
    for (const key of moved) {
      onFault(recordDamaged(`The key ${key} in Redis had another type than ours; it lies under ${key}:odd now`));
    }
    return true;
  }

  async function orMended<Answer>(keys: readonly string[], call: () => Promise<Answer>): Promise<Answer> {
    try {
      return await call();
    } catch (error) {
      if (!(await isMended(keys, error))) throw error;
      return await call();
    }
  }

  return {
    run: (script, keys, args) => orMended(keys, () => commands.run(script, keys, args)),
    waitForList: (key, waitMs, signal) => orMended([key], () => commands.waitForList(key, waitMs, signal)),
    publish: (channel, message) => commands.publish(channel, message),
    subscribe: (channel, listener, connected) => commands.subscribe(channel, listener, connected),
    health: (keys) => commands.health(keys),
    [Symbol.asyncDispose]: () => commands[Symbol.asyncDispose](),
  };
}

function typedKey(key: string): { readonly key: string; readonly type: string } | null {
  const name = key.slice(key.indexOf("}") + 1);
  const found = TYPES.find(([pattern]) => pattern.test(name));
  return found === undefined ? null : { key, type: found[1] };
}
