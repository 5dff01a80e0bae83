-- KEYS: as directory-create.
-- ARGV: 1 epoch, 2 version, 3 endpoint id, 4 tenant, 5 most tenants without endpoints. Returns 'ok', 'lost', 'none'. Atomic as directory-create.

local there = redis.call('HGET', KEYS[3], ARGV[3])
if not there then return 'none' end
local place = string.sub(there, 1, PLACE_LENGTH)
redis.call('HDEL', KEYS[3], ARGV[3])
redis.call('ZREM', KEYS[5], place .. ARGV[3])
redis.call('ZREM', KEYS[6], place .. ARGV[3] .. ':' .. ARGV[4])
raise(ARGV[3])
noteEmpty(ARGV[4], version, tonumber(ARGV[5]))
return 'ok'
