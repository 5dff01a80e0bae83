/** Appending to the spool, which needs no connection that lasts: for processes with TCP, and for a gateway that has HTTP alone. */
import { SPOOL_BYTES_MAX } from "../../../domain/distributed-config.ts";
import { storeFault } from "../../../domain/errors.ts";
import type { Spool } from "../../../ports/spool.ts";
import { SPOOL_SHARES } from "../../../ports/spool.ts";
import { everyShard } from "../client/every-shard.ts";
import type { KeySpace } from "../client/key-space.ts";
import { luaScript } from "../client/lua-script.ts";
import type { RedisCommands, RedisScript } from "../client/redis-commands.ts";
import { LAST_WAY_SILENCE_MS } from "../client/redis-commands.ts";
import { listOf } from "../client/reply.ts";
import { packRecord } from "./packed-record.ts";

/** What Redis needs for an entry beside the packed record, about. */
export const ENTRY_BYTES = 150;
/** Seconds until it may have room again, where nobody knows better. */
const FULL_AGAIN_S = 10;

/** Over TCP Kafka was asked before. */
const APPEND: RedisScript = luaScript({
  name: "spool-append",
  returns: "text",
  files: ["spool/append"],
  constants: { ENTRY_BYTES },
  silenceMsMax: LAST_WAY_SILENCE_MS,
});

export interface SpoolPlace {
  readonly keys: KeySpace;
  /** Over all shards; `SPOOL_BYTES_MAX`. */
  readonly bytesMax?: number | undefined;
}

export function createSpoolAppend(
  options: SpoolPlace & { readonly commands: Pick<RedisCommands, "run"> },
): Spool["append"] {
  const { commands, keys, bytesMax = SPOOL_BYTES_MAX } = options;
  const channel = spoolChannel(keys);
  return async (records, spoolClass) => {
    const most = Math.floor((bytesMax / keys.shards) * SPOOL_SHARES[spoolClass]);
    const byShard = Map.groupBy(records, ({ key, topic }) => keys.shardOf(key ?? topic));
    await everyShard(byShard, async (shard, own) => {
      const args = [channel, most, ...own.map(packRecord)];
      const [isKept, kept] = listOf(await commands.run(APPEND, spoolKeys(keys, shard), args));
      if (isKept !== 1) throw full(Number(kept), most);
    });
  };
}

/** The stream, and what its entries weigh. */
export function spoolKeys(keys: KeySpace, shard: number): readonly [string, string] {
  return [keys.key(shard, "spool"), keys.key(shard, "spool:bytes")];
}

export function spoolChannel(keys: KeySpace): string {
  return keys.channel("spool");
}

function full(keptBytes: number, mostBytes: number): Error {
  const logged = `The spool in Redis has ${keptBytes} bytes, of ${mostBytes} for records of this kind in its shard.`;
  return storeFault(logged, { code: "overloaded", retryAfterS: FULL_AGAIN_S });
}
