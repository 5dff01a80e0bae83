/** Lists of dead letters and how many there are, of one tenant's shard or of all. */
import type { DeadLetter, DeadLetterFilter, DeadLetters } from "../../../ports/dead-letters.ts";
import { recordDamaged } from "../client/redis-faults.ts";
import { deadLetterOf } from "./meta.ts";
import { COUNT_DEAD_LETTERS, LIST_DEAD_LETTERS } from "./scripts.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { ListPart, PartWish, Place } from "../ledger/pages.ts";
import { LOOKED_MAX, PART_BYTES_MAX, parsePart, readPage } from "../ledger/pages.ts";
import type { RedisArgument, RedisCommands, RedisReply, RedisScript } from "../client/redis-commands.ts";

export function createDeadLetterLists(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  /** Gets each dead letter that a list passes over. */
  readonly onFault: (error: unknown) => void;
}): Pick<DeadLetters, "list" | "count"> {
  const { commands, keys, onFault } = options;
  const shards = Array.from({ length: keys.shards }, (_, shard) => shard);
  const run = (shard: number, script: RedisScript, args: readonly RedisArgument[]): Promise<RedisReply> =>
    commands.run(script, [keys.key(shard, "dead")], args);
  const shardsOf = (filter: DeadLetterFilter): readonly number[] =>
    filter.tenant === null ? shards : [keys.shardOf(filter.tenant)];

  async function listPart<Row>(
    request: { shard: number; filter: DeadLetterFilter; what: "rows" | "count"; wish: PartWish },
    show: (columns: readonly RedisReply[]) => Row | null,
  ): Promise<ListPart<Row>> {
    const { shard, filter, what } = request;
    const { limit, lookedMax, after } = request.wish;
    const { tenant, endpointId = "", eventId = "", eventType = "", state = "", sinceMs = "", untilMs = "" } = filter;
    const head = [limit, lookedMax, PART_BYTES_MAX, after?.score ?? "", after?.member ?? "", sinceMs, untilMs];
    const reply = await run(shard, LIST_DEAD_LETTERS, [
      ...head,
      what,
      tenant ?? "",
      endpointId,
      eventId,
      eventType,
      state,
    ]);
    return parsePart(reply, show);
  }

  /** Looks at each dead letter that the filter's own list has, some thousands at a time. */
  async function countRows(shard: number, filter: DeadLetterFilter): Promise<number> {
    let count = 0;
    let after: Place | null = null;
    for (;;) {
      const part: ListPart<true> = await listPart(
        { shard, filter, what: "count", wish: { limit: LOOKED_MAX, lookedMax: LOOKED_MAX, after } },
        () => true,
      );
      count += part.rows.length;
      if (part.ended === "end") return count;
      after = part.at;
    }
  }

  async function countShard(shard: number, filter: DeadLetterFilter): Promise<number> {
    const { tenant, endpointId, eventId, eventType, state, sinceMs = "", untilMs = "" } = filter;
    if (eventId !== undefined || eventType !== undefined || state !== undefined) return countRows(shard, filter);
    return Number(await run(shard, COUNT_DEAD_LETTERS, [tenant ?? "", endpointId ?? "", sinceMs, untilMs]));
  }

  function readableOf(columns: readonly RedisReply[]): DeadLetter | null {
    const deadLetter = deadLetterOf(columns);
    if (deadLetter === null) onFault(recordDamaged("The record of a dead letter in Redis does not read back"));
    return deadLetter;
  }

  return {
    list: (filter, limit, cursor) =>
      readPage({
        list: "dead-letters",
        limit,
        cursor,
        shards: shardsOf(filter),
        read: (shard, wish) => listPart({ shard, filter, what: "rows", wish }, readableOf),
      }),
    async count(filter) {
      const counts = await Promise.all(shardsOf(filter).map((shard) => countShard(shard, filter)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
  };
}
