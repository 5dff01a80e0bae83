-- KEYS    the number of the writer's last write, then one timeline for each bucket, of one shard
-- ARGV    number of this write, empty for one that is sent only once, then one JSON array for each bucket: [hour, total, [[type, count], ...]] of a tenant,
--         [hour, delivered, retried, dead, durationUs, lastAtMs, inFlight, inFlightMax, breaker] of an endpoint, the last three if they are known, or [minute, [[field, count], ...]] of the lanes
-- Returns nothing. Atomic for all buckets; a write that was made already changes nothing. Fields and keys that are none of ours begin anew, and cost no other bucket. The first STAT_TYPES_MAX types of a tenant and hour have fields of their own.

-- No count of an hour is negative, or has more than 14 digits: one that is begins anew.
local function count(by, hash, field)
  local sum = add_to(by, hash, field)
  if sum < by or sum >= 1e14 then redis.call("HSET", hash, field, by) end
end

local function add_types(hash, total, types)
  local named = redis.call("HLEN", hash) - redis.call("HEXISTS", hash, "total_events")
    - redis.call("HEXISTS", hash, "event_type:" .. OTHER_TYPE)
  count(total, hash, "total_events")
  for _, pair in ipairs(types) do
    local field = "event_type:" .. pair[1]
    if pair[1] ~= OTHER_TYPE and redis.call("HEXISTS", hash, field) == 0 then
      if named >= STAT_TYPES_MAX then field = "event_type:" .. OTHER_TYPE else named = named + 1 end
    end
    count(pair[2], hash, field)
  end
end

local function add_outcomes(hash, bucket)
  for index, field in ipairs({"delivered", "retried", "dead", "duration_us"}) do
    if bucket[index + 1] ~= 0 then count(bucket[index + 1], hash, field) end
  end
  local last = number_or(0, redis.call("HGET", hash, "last_at"))
  if bucket[6] >= last or last > bucket[1] + 2 * HOUR_MS then
    redis.call("HSET", hash, "last_at", bucket[6])
    if bucket[9] then redis.call("HSET", hash, "in_flight", bucket[7], "in_flight_max", bucket[8], "breaker", bucket[9]) end
  end
end

local function add_minute(hash, counts)
  for _, pair in ipairs(counts) do count(pair[2], hash, pair[1]) end
end

local function add(timeline, hour, hash, bucket)
  local times_max, expiry_ms = HOURS_MAX, EXPIRY_MS
  if type(bucket[2]) == "table" then
    times_max, expiry_ms = FLOW_MINUTES_MAX, FLOW_EXPIRY_MS
    add_minute(hash, bucket[2])
  elseif type(bucket[3]) == "table" then
    add_types(hash, bucket[2], bucket[3])
  else
    add_outcomes(hash, bucket)
  end
  redis.call("ZADD", timeline, bucket[1], hour)
  redis.call("ZREMRANGEBYRANK", timeline, 0, -(times_max + 1))
  redis.call("PEXPIRE", hash, expiry_ms)
  redis.call("PEXPIRE", timeline, expiry_ms)
end

if ARGV[1] ~= "" then
  local last = redis.pcall("GET", KEYS[1])
  if type(last) == "string" and number_or(0, last) >= tonumber(ARGV[1]) then return end
  redis.call("SET", KEYS[1], ARGV[1], "PX", EXPIRY_MS)
end
for index = 2, #KEYS do
  local timeline = KEYS[index]
  local bucket = cjson.decode(ARGV[index])
  local hour = string.format("%d", bucket[1])
  local hash = timeline .. ":" .. hour
  if not pcall(add, timeline, hour, hash, bucket) then
    -- Something else lies in their place: counts are the least that could be lost, and begin anew.
    redis.call("UNLINK", timeline, hash)
    add(timeline, hour, hash, bucket)
  end
end
