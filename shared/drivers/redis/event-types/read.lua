-- KEYS: 1 version, 2 types by name. ARGV: 1 version that the caller knows, or ''.
-- Returns {version}, and as a second part name and record of each type when the version is another one. No version is '0'.

local version = string.format('%.0f', number_or(0, redis.call('GET', KEYS[1])))
if version == ARGV[1] then return {version} end
return {version, redis.call('HGETALL', KEYS[2])}
