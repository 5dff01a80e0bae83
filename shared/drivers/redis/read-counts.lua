-- KEYS[1] timeline
-- Returns one flat list of fields and values for each hour that counts, oldest first.
-- ARGV: none.

local till = string.format("%d", now + COUNTED_MS)
local hours = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. string.format("%d", now - COUNTED_MS), till, "LIMIT", 0, HOURS_MAX)
local found = {}
for index, hour in ipairs(hours) do
  local fields = redis.pcall("HGETALL", KEYS[1] .. ":" .. hour)
  -- What lies there and is no hash counts nothing.
  found[index] = fields.err and {} or fields
end
return found
