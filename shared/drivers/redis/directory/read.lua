-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 highest forgotten version. ARGV: 1 epoch, 2 version that the caller holds.
-- Returns {epoch or nil, version}, and third {id, place and text, ...} unless both are those that the caller holds.
-- Atomic: the endpoints are those of that version.

local epoch = redis.call('GET', KEYS[1])
local version = knownVersion()
if epoch == ARGV[1] and version == ARGV[2] then return {epoch, version} end
return {epoch, version, redis.call('HGETALL', KEYS[3])}
