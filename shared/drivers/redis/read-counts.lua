-- KEYS[1] timeline
-- ARGV[1] how many ms an hour counts, or a minute; ARGV[2] how many there are at most
-- Returns one flat list for each hour that counts, oldest first: its beginning in ms, then fields and values.

local till = string.format("%d", now + ARGV[1])
local hours = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. string.format("%d", now - ARGV[1]), till, "LIMIT", 0, ARGV[2])
local found = {}
for index, hour in ipairs(hours) do
  local fields = redis.pcall("HGETALL", KEYS[1] .. ":" .. hour)
  -- What lies there and is no hash counts nothing.
  found[index] = fields.err and {} or fields
  table.insert(found[index], 1, hour)
end
return found
