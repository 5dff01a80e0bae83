/**
 * Cancelled events in Redis: a sorted set for each shard, by the time from which they are forgotten. That a fan-out has
 * begun is noted only while a cancellation could still come, on a Redis whose clock is behind. As durable as the Redis is:
 * what a crash of it takes away is sent at its time.
 */
import { assert } from "../../lib/assert.ts";
import type { Cancellations, PlannedEvent } from "../../ports/cancellations.ts";
import {
  CANCELLED_KEPT_MS,
  CANCELLED_MAX,
  CANCELLED_TENANT_SHARE,
  cancellationsFull,
} from "../../ports/cancellations.ts";
import type { KeySpace } from "./client/key-space.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisArgument, RedisCommands, RedisScript } from "./client/redis-commands.ts";

/** How far the clock of a Redis that takes over may be behind that of the one before. */
const CLOCK_SLACK_MS = 60_000;
/** Markers past their time that one call takes out. */
const TRIMMED_MAX = 100;

const CANCEL: RedisScript = luaScript({
  name: "cancel-event",
  returns: "text",
  files: ["cancelled-events", "cancel-event"],
  constants: { TRIMMED_MAX, CANCELLED_KEPT_MS },
});

const BEGIN: RedisScript = luaScript({
  name: "begin-event",
  returns: "text",
  files: ["cancelled-events", "begin-event"],
  constants: { TRIMMED_MAX, CLOCK_SLACK_MS },
});

/** Rejects with `store-unavailable`; the step may have been carried out all the same, and can be asked for again. */
export function createRedisCancellations(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  /** `CANCELLED_MAX`; each shard has its equal part. */
  readonly cancelledMax?: number;
}): Cancellations {
  const { commands, keys, cancelledMax = CANCELLED_MAX } = options;
  const shardMax = Math.floor(cancelledMax / keys.shards);

  async function run(script: RedisScript, event: PlannedEvent, more: readonly RedisArgument[]): Promise<string> {
    const { tenant, id, acceptedAtMs, deliverAtMs } = event;
    const shard = keys.shardOf(tenant);
    const begun = keys.key(shard, `begun:${tenant}:${id}:${acceptedAtMs}`);
    const touched = [keys.key(shard, "cancelled"), keys.key(shard, "cancelled-counts"), begun];
    const reply = await commands.run(script, touched, [tenant, id, acceptedAtMs, deliverAtMs, ...more]);
    assert(typeof reply === "string", "what was decided comes back as a word");
    return reply;
  }

  return {
    async cancel(event) {
      const decided = await run(CANCEL, event, [Math.floor(shardMax * CANCELLED_TENANT_SHARE), shardMax]);
      if (decided === "full-tenant") throw cancellationsFull("tenant");
      if (decided === "full") throw cancellationsFull("all");
      return decided === "cancelled" ? "cancelled" : "begun";
    },
    async begin(event) {
      return (await run(BEGIN, event, [])) === "cancelled" ? "cancelled" : "begun";
    },
  };
}
