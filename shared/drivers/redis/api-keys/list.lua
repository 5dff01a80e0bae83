-- KEYS: 1 order of the tenant, 2 its keys that have or will have an end, by that time, 3 order of the shard, 4 as 2 for the shard.
-- ARGV: 1 member, 2 the member it replaces or '', 3 time of its end or '', 4 largest number of usable keys, 5 tenant or ''.
-- Returns 'limit', or 'ok'. Atomic: the bound is exact for keys saved at the same time.

local isThere = redis.call('ZSCORE', KEYS[1], ARGV[1]) or (ARGV[2] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[2]))
local usable = redis.call('ZCARD', KEYS[1]) - redis.call('ZCOUNT', KEYS[2], '-inf', now)
if not isThere and usable >= tonumber(ARGV[4]) then return 'limit' end
for _, member in ipairs({ARGV[1], ARGV[2]}) do
  for index = 1, 3 do redis.call('ZREM', KEYS[index], member) end
  redis.call('ZREM', KEYS[4], member .. ':' .. ARGV[5])
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
  if ARGV[5] ~= '' then redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1] .. ':' .. ARGV[5]) end
end
return 'ok'
