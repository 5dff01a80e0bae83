-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 order of the tenant, 5 order of the shard.
-- ARGV: 1 epoch, 2 version, 3 endpoint id, 4 tenant. Returns 'ok', 'lost', 'none'. Atomic as directory-create.

local there = redis.call('HGET', KEYS[3], ARGV[3])
if not there then return 'none' end
local place = string.sub(there, 1, PLACE_LENGTH)
redis.call('HDEL', KEYS[3], ARGV[3])
redis.call('ZREM', KEYS[4], place .. ARGV[3])
redis.call('ZREM', KEYS[5], place .. ARGV[3] .. ':' .. ARGV[4])
raise()
return 'ok'
