-- KEYS    one timeline for each bucket, of one shard
-- ARGV    one JSON array for each bucket: [hour, total, [[type, count], ...]] of a tenant, or
--         [hour, delivered, retried, dead, durationUs, lastAtMs] of an endpoint
-- Returns nothing. Atomic for all buckets. The first STAT_TYPES_MAX types of a tenant and hour have fields of their own.

local function add_types(hash, total, types)
  local named = redis.call("HLEN", hash) - redis.call("HEXISTS", hash, "total_events")
    - redis.call("HEXISTS", hash, "event_type:" .. OTHER_TYPE)
  redis.call("HINCRBY", hash, "total_events", total)
  for _, pair in ipairs(types) do
    local field = "event_type:" .. pair[1]
    if pair[1] ~= OTHER_TYPE and redis.call("HEXISTS", hash, field) == 0 then
      if named >= STAT_TYPES_MAX then field = "event_type:" .. OTHER_TYPE else named = named + 1 end
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
  redis.call("ZREMRANGEBYRANK", timeline, 0, -(HOURS_MAX + 1))
  redis.call("PEXPIRE", hash, EXPIRY_MS)
  redis.call("PEXPIRE", timeline, EXPIRY_MS)
end
