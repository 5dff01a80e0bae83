/**
 * The port `spool` on a stream of Redis for each shard, read by one consumer group. As durable as Redis' own settings make it.
 * Keys: `spool` the stream, `spool:bytes` what its entries weigh.
 */
import { assert } from "../../../lib/assert.ts";
import type { Spool, SpoolDepth, SpooledRecord } from "../../../ports/spool.ts";
import { everyShard } from "../client/every-shard.ts";
import { luaScript } from "../client/lua-script.ts";
import type { RedisCommands, RedisReply, RedisScript } from "../client/redis-commands.ts";
import { listOf } from "../client/reply.ts";
import type { SpoolPlace } from "./append.ts";
import { ENTRY_BYTES, createSpoolAppend, spoolChannel, spoolKeys } from "./append.ts";
import { unpackRecord } from "./packed-record.ts";

/** A take that passed it ends; one entry has at most about 1 MiB. */
const TAKE_BYTES_MAX = 8 * 1024 ** 2;
/** Entries that are read at once within a take, before its bytes are looked at again. */
const STEP_ENTRIES = 16;
/** Entries of one call of the scripts that remove and give back: a Lua call takes some 8,000 values at most. */
const CALL_ENTRIES_MAX = 1000;
/**
 * What somebody took and neither removed nor gave back in this time is taken by others. Longer than an append to the log may
 * take (10 s), so that nobody writes what another one is writing.
 */
export const SPOOL_HELD_MS = 15_000;
const names = { GROUP: "relay", TAKER: "relay" };
const script = (name: string, constants: Record<string, string | number>, returns: "text" | "bytes" = "text") =>
  luaScript({ name: `spool-${name}`, returns, files: [`spool/${name}`], constants });
const TAKE: RedisScript = script("take", { ...names, STEP_ENTRIES }, "bytes");
const REMOVE: RedisScript = script("remove", { GROUP: names.GROUP });
const GIVE_BACK: RedisScript = script("give-back", names);
const DEPTH: RedisScript = script("depth", {});

export interface RedisSpoolOptions extends SpoolPlace {
  readonly commands: RedisCommands;
  /** `SPOOL_HELD_MS`. */
  readonly heldMs?: number;
}

interface Handle {
  readonly shard: number;
  readonly id: string;
  readonly size: number;
}

export function createRedisSpool(options: RedisSpoolOptions): Spool {
  const { commands, keys, heldMs = SPOOL_HELD_MS } = options;
  const stream = (shard: number): string => spoolKeys(keys, shard)[0];
  const shards = Array.from({ length: keys.shards }, (_, shard) => shard);

  async function takeOf(shard: number, max: number): Promise<readonly SpooledRecord[]> {
    return readTaken(await commands.run(TAKE, [stream(shard)], [max, TAKE_BYTES_MAX, heldMs]), shard);
  }

  async function removeOf(shard: number, handles: readonly Handle[]): Promise<void> {
    for (const some of inCalls(handles)) {
      const args = some.flatMap(({ id, size }) => [id, size]);
      await commands.run(REMOVE, spoolKeys(keys, shard), args);
    }
  }

  return {
    append: createSpoolAppend(options),
    async take(max) {
      const records: SpooledRecord[] = [];
      for (const shard of shards) {
        if (records.length >= max) break;
        records.push(...(await takeOf(shard, max - records.length)));
      }
      return records;
    },
    remove: (records) => everyShard(byShardOf(records), removeOf),
    giveBack: (records) =>
      everyShard(byShardOf(records), async (shard, handles) => {
        for (const some of inCalls(handles)) {
          await commands.run(GIVE_BACK, [stream(shard)], [heldMs, ...some.map(({ id }) => id)]);
        }
      }),
    async depth() {
      const replies = await Promise.all(shards.map((shard) => commands.run(DEPTH, spoolKeys(keys, shard), [])));
      return sumOf(replies.map(depthOf));
    },
    watch: (listener) => commands.subscribe(spoolChannel(keys), listener, listener),
  };
}

function readTaken(reply: RedisReply, shard: number): readonly SpooledRecord[] {
  const [now, ...parts] = listOf(reply).map(asBytes);
  const records: SpooledRecord[] = [];
  for (let at = 0; at + 2 < parts.length; at += 3) {
    const packed = parts[at + 2] ?? new Uint8Array();
    const handle: Handle = { shard, id: textOf(parts[at]), size: packed.length + ENTRY_BYTES };
    const waitedMs = Number(textOf(now)) - Number(textOf(parts[at + 1]));
    records.push({ record: unpackRecord(packed), packed, waitedMs: Math.max(0, waitedMs) || 0, handle });
  }
  return records;
}

function asBytes(reply: RedisReply): Uint8Array {
  assert(reply instanceof Uint8Array, "the script returns bytes");
  return reply;
}

function textOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

function depthOf(reply: RedisReply): SpoolDepth {
  const [count = 0, bytes = 0, ageMs = -1] = listOf(reply).map(Number);
  return { count, bytes, oldestMs: ageMs < 0 ? null : ageMs };
}

function sumOf(depths: readonly SpoolDepth[]): SpoolDepth {
  const ages = depths.flatMap(({ oldestMs }) => oldestMs ?? []);
  return {
    count: depths.reduce((sum, { count }) => sum + count, 0),
    bytes: depths.reduce((sum, { bytes }) => sum + bytes, 0),
    oldestMs: ages.length === 0 ? null : Math.max(...ages),
  };
}

function byShardOf(records: readonly SpooledRecord[]): ReadonlyMap<number, readonly Handle[]> {
  return Map.groupBy(records.map(handleOf), ({ shard }) => shard);
}

function handleOf({ handle }: SpooledRecord): Handle {
  assert(typeof handle === "object" && handle !== null && "id" in handle, "a spooled record carries our handle");
  return handle as Handle;
}

function inCalls(handles: readonly Handle[]): readonly (readonly Handle[])[] {
  const calls = Math.ceil(handles.length / CALL_ENTRIES_MAX);
  return Array.from({ length: calls }, (_, call) =>
    handles.slice(call * CALL_ENTRIES_MAX, (call + 1) * CALL_ENTRIES_MAX),
  );
}
