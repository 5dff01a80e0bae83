/**
 * Scripts of the real-time stats. A subject (a tenant, or an endpoint of one) has a timeline, a sorted set of the hours
 * in which something was counted, and for each hour a hash `<timeline>:<hour>`. Both live 24 h past their last count and
 * two hours more; what counts is the hour itself. A timeline holds at most the hours of a day and two.
 */
import { STATS_KEPT_MS, STAT_TYPES_MAX } from "../../ports/stats.ts";
import type { RedisScript } from "./client/redis-commands.ts";

const HOUR_MS = 3600 * 1000;
const HOURS_MAX = STATS_KEPT_MS / HOUR_MS + 2;
const EXPIRY_MS = STATS_KEPT_MS + 2 * HOUR_MS;
/** An hour counts until its last minute is 24 h old. */
const COUNTED_MS = STATS_KEPT_MS + HOUR_MS;

export const OTHER_TYPE = "other";

/**
 * KEYS    one timeline for each bucket, of one shard
 * ARGV    one JSON array for each bucket: [hour, total, [[type, count], ...]] of a tenant, or
 *         [hour, delivered, retried, dead, durationUs, lastAtMs] of an endpoint
 * Returns nothing. Atomic for all buckets. The first STAT_TYPES_MAX types of a tenant and hour have fields of their own.
 */
export const ADD_COUNTS: RedisScript = {
  name: "add-counts",
  returns: "text",
  lua: `
local function add_types(hash, total, types)
  local named = redis.call("HLEN", hash) - redis.call("HEXISTS", hash, "total_events")
    - redis.call("HEXISTS", hash, "event_type:${OTHER_TYPE}")
  redis.call("HINCRBY", hash, "total_events", total)
  for _, pair in ipairs(types) do
    local field = "event_type:" .. pair[1]
    if pair[1] ~= "${OTHER_TYPE}" and redis.call("HEXISTS", hash, field) == 0 then
      if named >= ${STAT_TYPES_MAX} then field = "event_type:${OTHER_TYPE}" else named = named + 1 end
    end
    redis.call("HINCRBY", hash, field, pair[2])
  end
end

local function add_outcomes(hash, bucket)
  for index, field in ipairs({"delivered", "retried", "dead", "duration_us"}) do
    if bucket[index + 1] ~= 0 then redis.call("HINCRBY", hash, field, bucket[index + 1]) end
  end
  local last = tonumber(redis.call("HGET", hash, "last_at") or 0)
  if bucket[6] > last then redis.call("HSET", hash, "last_at", bucket[6]) end
end

for index, timeline in ipairs(KEYS) do
  local bucket = cjson.decode(ARGV[index])
  local hour = string.format("%d", bucket[1])
  local hash = timeline .. ":" .. hour
  if type(bucket[3]) == "table" then add_types(hash, bucket[2], bucket[3]) else add_outcomes(hash, bucket) end
  redis.call("ZADD", timeline, bucket[1], hour)
  redis.call("ZREMRANGEBYRANK", timeline, 0, -${HOURS_MAX + 1})
  redis.call("PEXPIRE", hash, ${EXPIRY_MS})
  redis.call("PEXPIRE", timeline, ${EXPIRY_MS})
end`,
};

/**
 * KEYS[1] timeline
 * Returns one flat list of fields and values for each hour that counts, oldest first.
 */
export const READ_COUNTS: RedisScript = {
  name: "read-counts",
  returns: "text",
  lua: `
local hours = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. string.format("%d", now - ${COUNTED_MS}), "+inf")
local found = {}
for index, hour in ipairs(hours) do found[index] = redis.call("HGETALL", KEYS[1] .. ":" .. hour) end
return found`,
};
