/** Hashes: fields in the order in which they came. */
import type { Command } from "./commands.ts";
import { wholeNumber } from "./commands.ts";
import type { Keyspace } from "./keyspace.ts";

const fieldsOf = (keys: Keyspace, key: string): ReadonlyMap<string, string> =>
  keys.find(key, "hash")?.fields ?? new Map<string, string>();

export const HASH_COMMANDS: Readonly<Record<string, Command>> = {
  HSET({ keys }, [key = "", ...pairs]) {
    if (pairs.length === 0 || pairs.length % 2 !== 0) throw new Error("wrong number of arguments for 'hset' command");
    const { fields } = keys.hash(key);
    const before = fields.size;
    for (let at = 0; at < pairs.length; at += 2) fields.set(pairs[at] ?? "", pairs[at + 1] ?? "");
    return fields.size - before;
  },
  HSETNX({ keys }, [key = "", field = "", value = ""]) {
    const { fields } = keys.hash(key);
    if (fields.has(field)) return 0;
    fields.set(field, value);
    return 1;
  },
  HGET: ({ keys }, [key = "", field = ""]) => fieldsOf(keys, key).get(field) ?? null,
  HMGET({ keys }, [key = "", ...names]) {
    const fields = fieldsOf(keys, key);
    return names.map((field) => fields.get(field) ?? null);
  },
  HGETALL: ({ keys }, [key = ""]) => Array.from(fieldsOf(keys, key)).flat(),
  HKEYS: ({ keys }, [key = ""]) => Array.from(fieldsOf(keys, key).keys()),
  HLEN: ({ keys }, [key = ""]) => fieldsOf(keys, key).size,
  HEXISTS: ({ keys }, [key = "", field = ""]) => (fieldsOf(keys, key).has(field) ? 1 : 0),
  HSTRLEN: ({ keys }, [key = "", field = ""]) => fieldsOf(keys, key).get(field)?.length ?? 0,
  HDEL({ keys }, [key = "", ...names]) {
    const hash = keys.find(key, "hash");
    if (hash === null) return 0;
    const count = names.filter((field) => hash.fields.delete(field)).length;
    keys.tidy(key);
    return count;
  },
  HINCRBY({ keys }, [key = "", field = "", by = ""]) {
    const { fields } = keys.hash(key);
    const sum = wholeNumber(fields.get(field) ?? "0") + wholeNumber(by);
    fields.set(field, String(sum));
    return sum;
  },
  /** Redis takes some of them by chance; the first ones are as good. */
  HRANDFIELD({ keys }, [key = "", count = "1", values]) {
    const some = Array.from(fieldsOf(keys, key)).slice(0, wholeNumber(count));
    return values === undefined ? some.map(([field]) => field) : some.flat();
  },
};
