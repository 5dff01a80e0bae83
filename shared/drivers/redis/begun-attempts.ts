/** Attempts that were begun, in a hash and a sorted set of each shard. A failover may forget some: their count starts anew. */
import type { AttemptKey, BegunAttempts } from "../../ports/begun-attempts.ts";
import { assert } from "../../lib/assert.ts";
import { BEGIN_MAX, BEGUN_KEPT_MS, BEGUN_MAX } from "../../ports/begun-attempts.ts";
import type { KeySpace } from "./client/key-space.ts";
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

export function createRedisBegunAttempts(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  /** Of each shard; `BEGUN_MAX`. */
  readonly attemptsMax?: number;
}): BegunAttempts {
  const { commands, keys, attemptsMax = BEGUN_MAX } = options;
  const begunOf = (tenant: string): string => keys.key(keys.shardOf(tenant), "attempts-begun");
  const timesOf = (tenant: string): string => keys.key(keys.shardOf(tenant), "attempts-begun:times");

  async function run(script: RedisScript, head: readonly number[], attempts: readonly AttemptKey[]): Promise<void> {
    assert(attempts.length <= BEGIN_MAX, "attempts of one call are those of one group");
    const [first] = attempts;
    if (first === undefined) return;
    const { tenant } = first;
    await commands.run(script, [begunOf(tenant), timesOf(tenant)], [...head, ...attempts.map(nameOf)]);
  }

  return {
    unended: async (attempt) => Number(await commands.run(COUNT, [begunOf(attempt.tenant)], [nameOf(attempt)])),
    begin: (attempts) => run(BEGIN, [attemptsMax, BEGUN_KEPT_MS], attempts),
    end: (attempts) => run(END, [], attempts),
  };
}

/** No part can hold a slash. */
function nameOf({ tenant, eventId, endpointId, generation, attempt }: AttemptKey): string {
  return `${tenant}/${eventId}/${endpointId}/${generation}/${attempt}`;
}
