-- KEYS: n records. Returns n times {JSON or nil, time of revocation or nil}, or nil where something else lies.
-- ARGV: none.

local found = {}
for index, key in ipairs(KEYS) do
  local record = redis.pcall('HMGET', key, 'record', 'revokedAtMs')
  found[index] = not record.err and record
end
return found
