-- Part: the cancelled events of a shard. KEYS: 1 sorted set, <tenant>|<id>|<acceptance> by the time from which it is
-- forgotten; 2 hash, how many each tenant has there; 3 marker of a fan-out that has begun. ARGV begins with tenant, id,
-- acceptance, deliver-at.

local member = ARGV[1] .. '|' .. ARGV[2] .. '|' .. ARGV[3]
local deliver_at = tonumber(ARGV[4])

for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, TRIMMED_MAX)) do
  redis.call('ZREM', KEYS[1], over)
  local tenant = string.match(over, '^([^|]*)|') or ''
  if add_to(-1, KEYS[2], tenant) <= 0 then redis.call('HDEL', KEYS[2], tenant) end
end
local is_cancelled = redis.call('ZSCORE', KEYS[1], member)
