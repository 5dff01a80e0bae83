/** Streams, and groups of consumers that read them. */
import type { Command } from "./commands.ts";
import { wholeNumber } from "./commands.ts";
import type { Keyspace, Stream, StreamEntry, StreamGroup } from "./keyspace.ts";
import type { LuaReply } from "./lua.ts";

function groupOf(keys: Keyspace, key: string, name: string): { readonly stream: Stream; readonly group: StreamGroup } {
  const stream = keys.find(key, "stream");
  const group = stream?.groups.get(name);
  if (stream === null || group === undefined) {
    throw new Error(`NOGROUP No such key '${key}' or consumer group '${name}'`);
  }
  return { stream, group };
}

const replyOf = ({ id, fields }: StreamEntry): LuaReply => [id, fields];

function optionOf(args: readonly string[], name: string): string | null {
  const at = args.indexOf(name);
  return at < 0 ? null : (args[at + 1] ?? null);
}

function countOf(args: readonly string[]): number {
  const count = optionOf(args, "COUNT");
  return count === null ? Infinity : wholeNumber(count);
}

function pendingEntries({ entries }: Stream, ids: readonly string[]): readonly StreamEntry[] {
  return ids.flatMap((id) => entries.find((entry) => entry.id === id) ?? []);
}

export const STREAM_COMMANDS: Readonly<Record<string, Command>> = {
  XADD({ keys, nowMs }, [key = "", id, ...fields]) {
    if (id !== "*") throw new Error("the model makes the ids of streams itself");
    const stream = keys.stream(key);
    const ms = Math.floor(nowMs());
    const [lastMs, lastNumber] = stream.last;
    stream.last = ms > lastMs ? [ms, 0] : [lastMs, lastNumber + 1];
    const entry = { id: stream.last.join("-"), fields, number: ++stream.added };
    stream.entries.push(entry);
    return entry.id;
  },
  XLEN: ({ keys }, [key = ""]) => keys.find(key, "stream")?.entries.length ?? 0,
  XRANGE({ keys }, [key = "", from, to, ...options]) {
    if (from !== "-" || to !== "+") throw new Error("the model reads streams from their beginning");
    return (keys.find(key, "stream")?.entries ?? []).slice(0, countOf(options)).map(replyOf);
  },
  XDEL({ keys }, [key = "", ...ids]) {
    const stream = keys.find(key, "stream");
    if (stream === null) return 0;
    const before = stream.entries.length;
    stream.entries = stream.entries.filter(({ id }) => !ids.includes(id));
    return before - stream.entries.length;
  },
  XGROUP({ keys }, [action, key = "", name = "", from]) {
    const stream = keys.find(key, "stream");
    if (action !== "CREATE" || from !== "0" || stream === null)
      throw new Error("the model makes groups of what is there");
    if (stream.groups.has(name)) throw new Error("BUSYGROUP Consumer Group name already exists");
    stream.groups.set(name, { read: 0, pending: new Map() });
    return "OK";
  },
  XREADGROUP({ keys, nowMs }, [, name = "", , ...options]) {
    const [key = "", from] = options.slice(options.indexOf("STREAMS") + 1);
    if (from !== ">") throw new Error("the model reads what is new");
    const { stream, group } = groupOf(keys, key, name);
    const entries = stream.entries.filter(({ number }) => number > group.read).slice(0, countOf(options));
    for (const { id, number } of entries) {
      group.read = number;
      group.pending.set(id, nowMs());
    }
    return entries.length === 0 ? null : [[key, entries.map(replyOf)]];
  },
  XACK({ keys }, [key = "", name = "", ...ids]) {
    const group = keys.find(key, "stream")?.groups.get(name);
    return ids.filter((id) => group?.pending.delete(id)).length;
  },
  XAUTOCLAIM({ keys, nowMs }, [key = "", name = "", , idle = "", , ...options]) {
    const { stream, group } = groupOf(keys, key, name);
    const idleSinceMs = nowMs() - wholeNumber(idle);
    const silent = [...group.pending].filter(([, atMs]) => atMs <= idleSinceMs).map(([id]) => id);
    const claimed = pendingEntries(stream, silent.slice(0, countOf(options)));
    for (const { id } of claimed) group.pending.set(id, nowMs());
    return ["0-0", claimed.map(replyOf), []];
  },
  XCLAIM({ keys, nowMs }, [key = "", name = "", , , ...rest]) {
    const { stream, group } = groupOf(keys, key, name);
    const ids = rest.slice(0, rest.indexOf("IDLE")).filter((id) => group.pending.has(id));
    const claimed = pendingEntries(stream, ids);
    const idleMs = wholeNumber(optionOf(rest, "IDLE") ?? "0");
    for (const { id } of claimed) group.pending.set(id, nowMs() - idleMs);
    return claimed.map(({ id }) => id);
  },
};
