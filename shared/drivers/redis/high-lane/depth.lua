-- KEYS list, held, kept. Returns {items, acceptance time of the oldest as text, or nil}. Changes nothing.
-- ARGV: none.

local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return {redis.call('LLEN', KEYS[1]) + redis.call('HLEN', KEYS[2]), number_or(nil, oldest[2]) and oldest[2] or false}
