/** Attempts that were begun, in a hash and a sorted set of each shard. A failover may forget some: their count starts anew. */
import type { AttemptKey, BegunAttempts } from "../../ports/begun-attempts.ts";
import { assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/ambient.ts";
import { BEGIN_MAX, BEGUN_KEPT_MS, BEGUN_MAX } from "../../ports/begun-attempts.ts";
import { joinCalls } from "./client/joined-calls.ts";
import type { KeySpace } from "./client/key-space.ts";
import { listOf } from "./client/reply.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";

/** An attempt is given up after a few beginnings; a count past this is none of ours. */
const COUNT_MAX = 100;

const COUNT: RedisScript = luaScript({
  name: "count-unended",
  returns: "text",
  files: ["count-unended"],
  constants: { COUNT_MAX },
});
const BEGIN: RedisScript = luaScript({
  name: "begin-attempts",
  returns: "text",
  files: ["begin-attempts"],
  constants: { COUNT_MAX },
});
const END: RedisScript = luaScript({ name: "end-attempts", returns: "text", files: ["end-attempts"] });

/** Of one attempt among the arguments of a script, at the most: one that many calls share notes 1,024. */
const NAME_BYTES = 512;

/** After a restart the whole backlog are repeats: what is asked and noted of them in one turn of the event loop shares a script. */
export function createRedisBegunAttempts(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "soon">;
  /** Of each shard; `BEGUN_MAX`. */
  readonly attemptsMax?: number;
}): BegunAttempts {
  const { commands, keys, clock, attemptsMax = BEGUN_MAX } = options;
  const begunAt = (shard: number): string => keys.key(shard, "attempts-begun");
  const timesAt = (shard: number): string => keys.key(shard, "attempts-begun:times");

  const count = joinCalls<AttemptKey, number>({
    clock,
    run: async (shard, attempts) =>
      listOf(await commands.run(COUNT, [begunAt(shard)], attempts.map(nameOf))).map(Number),
  });

  function noting(script: RedisScript, head: readonly number[]) {
    const note = joinCalls<readonly AttemptKey[], void>({
      clock,
      async run(shard, calls) {
        await commands.run(script, [begunAt(shard), timesAt(shard)], [...head, ...calls.flat().map(nameOf)]);
        return calls.map(() => undefined);
      },
    });
    return async (attempts: readonly AttemptKey[]): Promise<void> => {
      assert(attempts.length <= BEGIN_MAX, "attempts of one call are those of one group");
      const [first] = attempts;
      if (first !== undefined) await note(keys.shardOf(first.tenant), attempts, attempts.length * NAME_BYTES);
    };
  }

  return {
    unended: (attempt) => count(keys.shardOf(attempt.tenant), attempt, NAME_BYTES),
    begin: noting(BEGIN, [attemptsMax, BEGUN_KEPT_MS]),
    end: noting(END, []),
  };
}

/** No part can hold a slash. */
function nameOf({ tenant, eventId, endpointId, generation, attempt }: AttemptKey): string {
  return `${tenant}/${eventId}/${endpointId}/${generation}/${attempt}`;
}
