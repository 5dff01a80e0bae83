/** Leases in Redis, one hash for each name. A failover may lose a lease; the next who asks gets it early. */
import type { Leases } from "../../ports/leases.ts";
import { ACQUIRED, LEASE_MS_MAX } from "../../ports/leases.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";
import { luaScript } from "./client/lua-script.ts";

const HOLD_LEASE: RedisScript = luaScript({
  name: "hold-lease",
  returns: "text",
  files: ["hold-lease"],
  constants: { LEASE_MS_MAX },
});

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
