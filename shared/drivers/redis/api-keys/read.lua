-- KEYS: 1 record. Returns {JSON, time of revocation or nil}, or nil when there is none.
-- ARGV: none.

local record = redis.call('HMGET', KEYS[1], 'record', 'revokedAtMs')
if not record[1] then return false end
return record
