-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 changes, 5 order of the tenant, 6 order of the shard, 7 tenants without endpoints,
-- 8 highest forgotten version.
-- ARGV: 1 epoch, 2 version, 3 endpoint id, 4 created at (16 digits), 5 text, 6 tenant, 7 largest number of endpoints.
-- Returns 'ok' (also when the same bytes are there already: a command that was sent twice), 'lost', 'limit', 'exists'.
-- Atomic: endpoint, orders and version are written together or not at all, and the bound is exact.

local there = redis.call('HGET', KEYS[3], ARGV[3])
if there then return string.sub(there, PLACE_LENGTH + 1) == ARGV[5] and 'ok' or 'exists' end
if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[7]) then return 'limit' end
raise(ARGV[3])
local place = ARGV[4] .. ':' .. string.format('%016.0f', version) .. ':'
redis.call('HSET', KEYS[3], ARGV[3], place .. ARGV[5])
redis.call('ZADD', KEYS[5], 0, place .. ARGV[3])
redis.call('ZADD', KEYS[6], 0, place .. ARGV[3] .. ':' .. ARGV[6])
redis.call('ZREM', KEYS[7], ARGV[6])
return 'ok'
