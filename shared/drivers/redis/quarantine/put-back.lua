-- KEYS    list, turns, fresh, bell: of a lane (`high-lane/rows.lua`)
-- ARGV    channel of the lane, element
-- Returns how many the list holds
-- Atomic. Past the lane's counts, which do not know what was put aside.

put("LPUSH", "", ARGV[2])
redis.call("PUBLISH", ARGV[1], 1)
return redis.call("LLEN", list)
