-- KEYS: 1 keys that have or will have an end, by that time. ARGV: 1 largest number of ended ones, 2 most members of an answer.
-- Returns the members beyond that number, the longest ended first.

local over = redis.call('ZCOUNT', KEYS[1], '-inf', now) - tonumber(ARGV[1])
if over <= 0 then return {} end
return redis.call('ZRANGE', KEYS[1], 0, math.min(over, tonumber(ARGV[2])) - 1)
