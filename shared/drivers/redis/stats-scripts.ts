/**
 * Scripts of the real-time stats. A subject (a tenant, or an endpoint of one) has a timeline, a sorted set of the hours
 * in which something was counted, and for each hour a hash `<timeline>:<hour>`. Both live 24 h past their last count and
 * two hours more; what counts is the hour itself. A timeline holds at most the hours of a day and two.
 */
import { STATS_KEPT_MS, STAT_TYPES_MAX } from "../../ports/stats.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisScript } from "./client/redis-commands.ts";

const HOUR_MS = 3600 * 1000;
const HOURS_MAX = STATS_KEPT_MS / HOUR_MS + 2;
const EXPIRY_MS = STATS_KEPT_MS + 2 * HOUR_MS;
/** An hour counts until its last minute is 24 h old. */
const COUNTED_MS = STATS_KEPT_MS + HOUR_MS;

export const OTHER_TYPE = "other";

export const ADD_COUNTS: RedisScript = luaScript({
  name: "add-counts",
  returns: "text",
  files: ["add-counts"],
  constants: { EXPIRY_MS, HOURS_MAX, OTHER_TYPE, STAT_TYPES_MAX },
});

export const READ_COUNTS: RedisScript = luaScript({
  name: "read-counts",
  returns: "text",
  files: ["read-counts"],
  constants: { COUNTED_MS },
});
