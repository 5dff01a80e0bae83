-- KEYS    records: a hash, id -> JSON; order: a sorted set of the ids, all of one score, which sort by time
-- ARGV    records kept at most, id, JSON
-- Returns how many are kept
-- Atomic; the oldest make room.

redis.call("HSET", KEYS[1], ARGV[2], ARGV[3])
redis.call("ZADD", KEYS[2], 0, ARGV[2])
local over = redis.call("ZCARD", KEYS[2]) - tonumber(ARGV[1])
if over > 0 then
  local old = redis.call("ZRANGE", KEYS[2], 0, math.min(over, 100) - 1)
  redis.call("HDEL", KEYS[1], unpack(old))
  redis.call("ZREM", KEYS[2], unpack(old))
end
return redis.call("ZCARD", KEYS[2])
