-- KEYS list, held, leases. ARGV tickets in the order of taking.
-- Returns the number of items put back to the head of the list, in that order, marked as repeats.
-- Atomic: a ticket that is not held any more changes nothing.

local released = 0
for at = #ARGV, 1, -1 do
  local element = redis.call('HGET', KEYS[2], ARGV[at])
  if element then
    if string.byte(element) ~= 1 then element = '\1' .. element end
    redis.call('RPUSH', KEYS[1], element)
    redis.call('HDEL', KEYS[2], ARGV[at])
    redis.call('ZREM', KEYS[3], ARGV[at])
    released = released + 1
  end
end
return released
