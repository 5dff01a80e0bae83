-- KEYS list, turns, fresh, bell, held, leases. ARGV tickets in the order of taking.
-- Returns the number of items put back to the heads of their rows, in that order, marked as repeats.
-- Atomic: a ticket that is not held any more changes nothing.

local held, leases = unpack(KEYS, 5)
local released = 0
for at = #ARGV, 1, -1 do
  local element = redis.call('HGET', held, ARGV[at])
  if element then
    put_back(ARGV[at], element)
    redis.call('HDEL', held, ARGV[at])
    redis.call('ZREM', leases, ARGV[at])
    released = released + 1
  end
end
return released
