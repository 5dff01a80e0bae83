-- KEYS    list: of a lane (`high-lane/append.lua`)
-- ARGV    channel of the lane, element
-- Returns how many the list holds
-- Atomic. Past the lane's counts, which do not know what was put aside.

local length = redis.call("LPUSH", KEYS[1], ARGV[2])
redis.call("PUBLISH", ARGV[1], 1)
return length
