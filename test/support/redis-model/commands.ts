/** The commands that the scripts use, as Redis documents them; any other is refused. */
import type { Keyspace } from "./keyspace.ts";
import type { LuaReply } from "./lua.ts";
import { HASH_COMMANDS } from "./hash-commands.ts";
import { SORTED_SET_COMMANDS } from "./sorted-set-commands.ts";

export interface CommandContext {
  readonly keys: Keyspace;
  readonly nowMs: () => number;
  readonly publish: (channel: string, message: string) => void;
  readonly pushed: (key: string) => void;
}

export type Command = (context: CommandContext, args: readonly string[]) => LuaReply;

const GENERAL_COMMANDS: Readonly<Record<string, Command>> = {
  GET: ({ keys }, [key = ""]) => keys.find(key, "text")?.text ?? null,
  SET({ keys, nowMs }, [key = "", text = "", ...options]) {
    if (options.includes("NX") && keys.has(key)) return null;
    const ms = options.includes("PX") ? Number(options[options.indexOf("PX") + 1]) : null;
    keys.setText(key, text, ms === null ? null : nowMs() + ms);
    return "OK";
  },
  INCRBY({ keys }, [key = "", by = ""]) {
    const value = keys.find(key, "text");
    const sum = wholeNumber(value?.text ?? "0") + wholeNumber(by);
    if (value === null) keys.setText(key, String(sum), null);
    else value.text = String(sum);
    return sum;
  },
  DEL: ({ keys }, names) => names.filter((key) => keys.delete(key)).length,
  UNLINK: ({ keys }, names) => names.filter((key) => keys.delete(key)).length,
  EXISTS: ({ keys }, names) => names.filter((key) => keys.has(key)).length,
  PEXPIRE: ({ keys, nowMs }, [key = "", ms = ""]) => (keys.expire(key, nowMs() + wholeNumber(ms)) ? 1 : 0),
  SCAN: ({ keys }, [, , pattern = ""]) => ["0", keys.names().filter((key) => key.startsWith(pattern.slice(0, -1)))],
  PUBLISH({ publish }, [channel = "", message = ""]) {
    publish(channel, message);
    return 0;
  },
  LLEN: ({ keys }, [key = ""]) => keys.find(key, "list")?.items.length ?? 0,
  LPUSH({ keys, pushed }, [key = "", ...items]) {
    const list = keys.list(key);
    for (const item of items) list.items.unshift(item);
    pushed(key);
    return list.items.length;
  },
  RPUSH({ keys, pushed }, [key = "", ...items]) {
    const list = keys.list(key);
    list.items.push(...items);
    pushed(key);
    return list.items.length;
  },
  RPOP({ keys }, [key = "", count]) {
    const list = keys.find(key, "list");
    if (list === null) return null;
    const taken = list.items.splice(Math.max(0, list.items.length - Number(count ?? 1))).toReversed();
    keys.tidy(key);
    return count === undefined ? (taken[0] ?? null) : taken;
  },
};

const COMMANDS = new Map<string, Command>(
  Object.entries({ ...GENERAL_COMMANDS, ...HASH_COMMANDS, ...SORTED_SET_COMMANDS }),
);

export function runCommand(context: CommandContext, [name = "", ...args]: readonly string[]): LuaReply {
  const command = COMMANDS.get(name.toUpperCase());
  if (command === undefined) throw new Error(`the model does not know ${name}`);
  return command(context, args);
}

/** Redis takes no other for a count or a time. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^-?[0-9]+$/u.test(text) || !Number.isSafeInteger(value)) throw new Error("value is not an integer");
  return value;
}
