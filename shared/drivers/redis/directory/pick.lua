-- KEYS: n times endpoints. ARGV: n endpoint ids. Returns n times place and text, or nil; also nil where something else lies.

local found = {}
for index, key in ipairs(KEYS) do
  local stored = redis.pcall('HGET', key, ARGV[index])
  found[index] = type(stored) == 'string' and stored
end
return found
