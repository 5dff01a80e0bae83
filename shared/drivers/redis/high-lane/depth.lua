-- KEYS list, turns, fresh, held, kept. Returns {items, acceptance time of the oldest as text, or nil}. Changes nothing.
-- ARGV: none.

local list, turns, fresh, held, kept = unpack(KEYS)
if redis.call('EXISTS', list, turns, fresh, held) == 0 then return {0, false} end
local oldest = redis.call('ZRANGE', kept, 0, 0, 'WITHSCORES')
local items = math.max(redis.call('ZCARD', kept), redis.call('LLEN', list) + redis.call('HLEN', held))
return {items, number_or(nil, oldest[2]) and oldest[2] or false}
