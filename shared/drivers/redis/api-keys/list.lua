-- KEYS: 1 order of the tenant, 2 revoked keys of the tenant by time, 3 order of the shard.
-- ARGV: 1 member, 2 the member it replaces or '', 3 time of revocation or '', 4 largest number of usable keys.
-- Returns 'limit', or 'ok'. Atomic: the bound is exact for keys saved at the same time.

local isThere = redis.call('ZSCORE', KEYS[1], ARGV[1]) or (ARGV[2] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[2]))
local usable = redis.call('ZCARD', KEYS[1]) - redis.call('ZCARD', KEYS[2])
if not isThere and usable >= tonumber(ARGV[4]) then return 'limit' end
if ARGV[2] ~= '' then
  for index = 1, 3 do redis.call('ZREM', KEYS[index], ARGV[2]) end
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1]) end
return 'ok'
