-- KEYS stream, bytes. ARGV channel, bytes max, then packed records.
-- Returns {1, bytes kept}, or {0, bytes kept} when the records would pass the bound.
-- Atomic: all are kept and announced, or none. The count goes up first: a step that fails leaves it too high, never too low,
-- and it begins anew once the stream is empty.

local stream, tally = unpack(KEYS)
local more = 0
for at = 3, #ARGV do more = more + #ARGV[at] + ENTRY_BYTES end
local kept = number_or(0, redis.call('GET', tally))
if kept > 0 and redis.call('XLEN', stream) == 0 then
  redis.call('DEL', tally)
  kept = 0
end
if kept + more > tonumber(ARGV[2]) then return {0, kept} end
add_to(more, tally)
for at = 3, #ARGV do redis.call('XADD', stream, '*', 'at', string.format('%.0f', now), 'packed', ARGV[at]) end
redis.call('PUBLISH', ARGV[1], #ARGV - 2)
return {1, kept + more}
