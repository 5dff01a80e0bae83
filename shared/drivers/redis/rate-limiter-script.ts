/** The sliding-window log as a script: see `rate-limiter.ts` for what it promises. */
import { luaScript } from "./client/lua-script.ts";
import type { RedisScript } from "./client/redis-commands.ts";

/** A log outlives its window by this much, so that only what counts for nothing is ever cleaned away. */
const LOG_SLACK_MS = 60_000;

export const TAKE_UNITS: RedisScript = luaScript({
  name: "take-units",
  returns: "text",
  files: ["take-units"],
  constants: { LOG_SLACK_MS },
});
