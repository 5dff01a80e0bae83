-- KEYS    begun: a hash, attempt -> beginnings that never ended; times: a sorted set of the same attempts by their last beginning
-- ARGV    attempts kept at most, ms for which they are kept, then attempts, 1,024 at most
-- Returns how many are kept
-- Atomic. Makes room for as many as it adds, and ten more.

local begun, times = KEYS[1], KEYS[2]
local keptMs = tonumber(ARGV[2])
for at = 3, #ARGV do
  local unended = add_to(1, begun, ARGV[at])
  if unended < 1 or unended > COUNT_MAX then redis.call("HSET", begun, ARGV[at], 1) end
  redis.call("ZADD", times, now, ARGV[at])
end
local room = #ARGV + 8
local old = redis.call("ZRANGEBYSCORE", times, "-inf", now - keptMs, "LIMIT", 0, room)
local over = redis.call("ZCARD", times) - tonumber(ARGV[1])
if over > #old then old = redis.call("ZRANGE", times, 0, math.min(over, room) - 1) end
if #old > 0 then
  redis.call("ZREM", times, unpack(old))
  redis.call("HDEL", begun, unpack(old))
end
redis.call("PEXPIRE", times, keptMs)
redis.call("PEXPIRE", begun, keptMs)
return redis.call("ZCARD", times)
