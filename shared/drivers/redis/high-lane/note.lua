-- KEYS kept, known. ARGV ms for which they stay known, then names of events. Returns how many were new to the lane.
-- Atomic: an event that the lane keeps or had is left as it is.

local noted = 0
for at = 2, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[at]) and not redis.call('ZSCORE', KEYS[2], ARGV[at]) then
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[1]), '~' .. ARGV[at])
    noted = noted + 1
  end
end
if noted > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[1]) end
return noted
