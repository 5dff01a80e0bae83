-- KEYS: 1 marker, 2 version, 3 endpoints. ARGV: 1 marker, 2 version that the caller holds.
-- Returns {marker or nil, version}, and third {id, place and text, ...} unless both are those that the caller holds.
-- Atomic: the endpoints are those of that version.

local marker = redis.call('GET', KEYS[1])
local version = redis.call('GET', KEYS[2]) or '0'
if marker == ARGV[1] and version == ARGV[2] then return {marker, version} end
return {marker, version, redis.call('HGETALL', KEYS[3])}
