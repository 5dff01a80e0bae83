/** The newest records that were put aside, in a hash and a sorted set of the first shard. What does not read back is passed over. */
import * as v from "valibot";
import { decodeBase64, encodeBase64 } from "../../../domain/base64.ts";
import { isId } from "../../../domain/id.ts";
import type { Page } from "../../../ports/dead-letters.ts";
import type { QuarantinedRecord } from "../../../ports/quarantined-records.ts";
import { QUARANTINE_BYTES_MAX, QUARANTINE_RECORDS_MAX } from "../../../ports/quarantined-records.ts";
import type { KeySpace } from "../client/key-space.ts";
import { luaScript } from "../client/lua-script.ts";
import { readPage } from "../client/page.ts";
import type { RedisCommands, RedisReply, RedisScript } from "../client/redis-commands.ts";
import { listOf } from "../client/reply.ts";
import { laneKeys } from "../high-lane/scripts.ts";

const script = (name: string, returns: "text" | "bytes" = "text"): RedisScript =>
  luaScript({ name: `quarantine-${name}`, returns, files: [`quarantine/${name}`] });
const PUT = script("put");
const READ = script("read");
const REMOVE = script("remove");
const COUNT = script("count");
const PUT_BACK: RedisScript = luaScript({
  name: "quarantine-put-back",
  returns: "text",
  files: ["high-lane/rows", "quarantine/put-back"],
});

const StoredRecord = v.object({
  source: v.string(),
  partition: v.number(),
  offset: v.number(),
  reason: v.string(),
  atMs: v.number(),
  headers: v.record(v.string(), v.string()),
  bytes: v.number(),
  value: v.nullable(v.pipe(v.string(), v.base64())),
});

export interface QuarantineIndex {
  /** The value is cut to `QUARANTINE_BYTES_MAX`. */
  put(record: QuarantinedRecord): Promise<void>;
  list(limit: number, cursor: string | null): Promise<Page<QuarantinedRecord>>;
  count(): Promise<number>;
  find(id: string): Promise<QuarantinedRecord | null>;
  remove(id: string): Promise<void>;
  /** Back to the HIGH list, as its newest. */
  pushHigh(value: Uint8Array): Promise<void>;
}

export function createRedisQuarantineIndex(options: {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  /** `QUARANTINE_RECORDS_MAX`. */
  readonly recordsMax?: number;
}): QuarantineIndex {
  const { commands, keys, recordsMax = QUARANTINE_RECORDS_MAX } = options;
  const records = keys.key(0, "quarantine");
  const order = keys.key(0, "quarantine:order");
  const pages = { letter: "q", member: /^qtn_[0-9a-z]{26}$/, isNewestFirst: true } as const;

  async function read(ids: readonly string[]): Promise<readonly QuarantinedRecord[]> {
    if (ids.length === 0) return [];
    const found = listOf(await commands.run(READ, [records], ids));
    return ids.map((id, index) => recordOf(id, found[index])).filter((record) => record !== null);
  }

  return {
    async put(record) {
      const { id, value, ...facts } = record;
      const kept = value === null ? null : encodeBase64(value.subarray(0, QUARANTINE_BYTES_MAX));
      await commands.run(PUT, [records, order], [recordsMax, id, JSON.stringify({ ...facts, value: kept })]);
    },
    async list(limit, cursor) {
      const { members, next } = await readPage(commands, pages, [order], limit, cursor);
      return { rows: await read(members), next };
    },
    count: async () => Number(await commands.run(COUNT, [order], [])),
    find: async (id) => (isId("qtn", id) ? ((await read([id]))[0] ?? null) : null),
    async remove(id) {
      await commands.run(REMOVE, [records, order], [id]);
    },
    async pushHigh(value) {
      const { list, turns, fresh, bell } = laneKeys(keys, 0, "high");
      await commands.run(PUT_BACK, [list, turns, fresh, bell], [keys.channel("lane:high"), value]);
    },
  };
}

/** Null when it is gone or does not read back. */
function recordOf(id: string, reply: RedisReply | undefined): QuarantinedRecord | null {
  if (typeof reply !== "string") return null;
  const stored = v.safeParse(v.pipe(v.string(), v.parseJson(), StoredRecord), reply);
  if (!stored.success) return null;
  const { value, ...facts } = stored.output;
  return { id, ...facts, value: value === null ? null : decodeBase64(value) };
}
