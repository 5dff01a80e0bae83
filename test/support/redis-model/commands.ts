/** The commands that the scripts use, as Redis documents them; any other is refused. */
import type { Keyspace } from "./keyspace.ts";
import type { LuaReply } from "./lua.ts";
import { HASH_COMMANDS } from "./hash-commands.ts";
import { SORTED_SET_COMMANDS } from "./sorted-set-commands.ts";
import { STREAM_COMMANDS } from "./stream-commands.ts";

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
  TYPE: ({ keys }, [key = ""]) => ({ status: keys.typeOf(key) }),
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
  LPUSHX: (context, [key = "", item = ""]) =>
    context.keys.find(key, "list") === null ? 0 : runCommand(context, ["LPUSH", key, item]),
  RPUSHX: (context, [key = "", item = ""]) =>
    context.keys.find(key, "list") === null ? 0 : runCommand(context, ["RPUSH", key, item]),
  LINDEX: ({ keys }, [key = "", at = ""]) => keys.find(key, "list")?.items.at(wholeNumber(at)) ?? null,
  RPOP({ keys }, [key = ""]) {
    const item = keys.find(key, "list")?.items.pop() ?? null;
    keys.tidy(key);
    return item;
  },
  LMOVE({ keys, pushed }, [from = "", to = "", end, start]) {
    if (end !== "RIGHT" || start !== "LEFT") throw new Error("the model moves from the right to the left only");
    const item = keys.find(from, "list")?.items.pop();
    if (item === undefined) return null;
    keys.list(to).items.unshift(item);
    keys.tidy(from);
    pushed(to);
    return item;
  },
  LRANGE: ({ keys }, [key = "", from = "", to = ""]) => {
    const items = keys.find(key, "list")?.items ?? [];
    const { start, end } = spanOf(items.length, from, to);
    return items.slice(start, end);
  },
  LTRIM({ keys }, [key = "", from = "", to = ""]) {
    const list = keys.find(key, "list");
    if (list === null) return "OK";
    const { start, end } = spanOf(list.items.length, from, to);
    list.items.splice(end);
    list.items.splice(0, start);
    keys.tidy(key);
    return "OK";
  },
};

const COMMANDS = new Map<string, Command>(
  Object.entries({ ...GENERAL_COMMANDS, ...HASH_COMMANDS, ...SORTED_SET_COMMANDS, ...STREAM_COMMANDS }),
);

export function runCommand(context: CommandContext, [name = "", ...args]: readonly string[]): LuaReply {
  const command = COMMANDS.get(name.toUpperCase());
  if (command === undefined) throw new Error(`the model does not know ${name}`);
  return command(context, args);
}

/** From `from` to `to`, both included, negative ones counted from the end. */
function spanOf(length: number, from: string, to: string): { readonly start: number; readonly end: number } {
  const [first, last] = [from, to].map((text) =>
    wholeNumber(text) < 0 ? length + wholeNumber(text) : wholeNumber(text),
  );
  const start = Math.max(0, first ?? 0);
  return { start, end: Math.max(start, Math.min(length, (last ?? 0) + 1)) };
}

/** Redis takes no other for a count or a time. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^-?[0-9]+$/u.test(text) || !Number.isSafeInteger(value)) throw new Error("value is not an integer");
  return value;
}
