-- KEYS: n times endpoints. ARGV: n endpoint ids. Returns n times place and text, or nil.

local found = {}
for index, key in ipairs(KEYS) do found[index] = redis.call('HGET', key, ARGV[index]) end
return found
