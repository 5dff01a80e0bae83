/** Where an edge gateway's data lies: Redis, asked over HTTP, and how its keys are named there. */
import type { KeySpace } from "../redis/client/key-space.ts";
import type { RedisRequests } from "../redis/client/redis-commands.ts";

export interface EdgePlace {
  readonly commands: Pick<RedisRequests, "run">;
  readonly keys: KeySpace;
}
