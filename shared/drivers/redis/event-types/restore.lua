-- KEYS: 1 version, 2 types by name. ARGV: 1 version that the caller knows, then name and record of each of its types.
-- Returns nothing. Atomic: writes back what a process knows unless Redis has a catalogue that is as new.

if number_or(0, redis.call('GET', KEYS[1])) >= tonumber(ARGV[1]) then return end
redis.call('DEL', KEYS[2])
local pairs_of = {}
for index = 2, #ARGV do pairs_of[index - 1] = ARGV[index] end
if #pairs_of > 0 then call_in_parts('HSET', KEYS[2], pairs_of) end
redis.call('SET', KEYS[1], ARGV[1])
