-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 changes, 5 highest forgotten version. ARGV: 1 epoch, 2 version, 3 endpoint id, 4 place and text as they were read,
-- 5 the new ones, of the same place. Returns 'ok' (also when they are there already), 'lost', 'none', 'conflict'.
-- Atomic: writes only over the bytes that were read, and raises the version with it.

local there = redis.call('HGET', KEYS[3], ARGV[3])
if not there then return 'none' end
if there == ARGV[5] then return 'ok' end
if there ~= ARGV[4] then return 'conflict' end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[5])
raise(ARGV[3])
return 'ok'
