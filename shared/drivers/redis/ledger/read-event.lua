-- KEYS: root. ARGV: tenant, id. Returns packed envelope and JSON of the fan-out or nothing; null when it is not kept.

local event = kept(ARGV[1], ARGV[2], 'f')
local body = event and redis.call('GET', key_of('body', ARGV[1], ARGV[2]))
if not body then return false end
return {body, event[2] or ''}
