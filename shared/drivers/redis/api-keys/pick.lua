-- KEYS: n records. Returns n times {JSON or nil, time of revocation or nil}.
-- ARGV: none.

local found = {}
for index, key in ipairs(KEYS) do found[index] = redis.call('HMGET', key, 'record', 'revokedAtMs') end
return found
