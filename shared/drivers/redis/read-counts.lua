-- KEYS[1] timeline
-- Returns one flat list of fields and values for each hour that counts, oldest first.
-- ARGV: none.

local hours = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. string.format("%d", now - COUNTED_MS), "+inf")
local found = {}
for index, hour in ipairs(hours) do found[index] = redis.call("HGETALL", KEYS[1] .. ":" .. hour) end
return found
