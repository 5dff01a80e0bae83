/** Leases in Redis, one hash for each name. A failover may lose a lease; the next who asks gets it early. */
import type { Leases } from "../../ports/leases.ts";
import { ACQUIRED } from "../../ports/leases.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";

/**
 * KEYS    the lease: a hash of `holder` and `until` (epoch ms). PEXPIRE cleans up; what counts is `until`
 * ARGV    holder, ms; 0 ms gives the lease up
 * Returns 0 when the lease is the holder's, or was given up; else the ms until it is free
 * Atomic: of calls at the same time one gets the lease. Nobody ends the lease of another.
 */
const HOLD_LEASE: RedisScript = {
  name: "hold-lease",
  returns: "text",
  lua: `
local lease = KEYS[1]
local ms = tonumber(ARGV[2])
local found = redis.call("HMGET", lease, "holder", "until")
local until_ms = tonumber(found[2] or 0)
if found[1] and found[1] ~= ARGV[1] and until_ms > now then return until_ms - now end
if ms > 0 then
  redis.call("HSET", lease, "holder", ARGV[1], "until", now + ms)
  redis.call("PEXPIRE", lease, ms)
elseif found[1] == ARGV[1] then
  redis.call("DEL", lease)
end
return 0`,
};

/** Rejects with `store-unavailable`; the step may have been carried out all the same, and the lease ends by itself. */
export function createRedisLeases(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
}): Leases {
  const { commands, keys } = options;
  const hold = (name: string, holder: string, ms: number) =>
    commands.run(HOLD_LEASE, [keys.key(keys.shardOf(name), `lease:${name}`)], [holder, ms]);
  return {
    async acquire(name, holder, ms) {
      const retryAfterMs = Number(await hold(name, holder, ms));
      return retryAfterMs === 0 ? ACQUIRED : { kind: "held", retryAfterMs };
    },
    async release(name, holder) {
      await hold(name, holder, 0);
    },
  };
}
