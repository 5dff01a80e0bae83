-- KEYS list, held, leases. ARGV lease in ms, number of items to reap at most, then tickets to renew.
-- Returns the number of items whose lease ran out, which are at the head of the list now, marked as repeats.
-- Atomic. Renews first, so that a holder that is late but not too late keeps what is its own.

local list, held, leases = KEYS[1], KEYS[2], KEYS[3]
local deadline = now + tonumber(ARGV[1])
for at = 3, #ARGV do redis.call('ZADD', leases, 'XX', deadline, ARGV[at]) end
local late = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[2])
for at = #late, 1, -1 do
  local element = redis.call('HGET', held, late[at])
  if element then
    if string.byte(element) ~= 1 then element = '\1' .. element end
    redis.call('RPUSH', list, element)
    redis.call('HDEL', held, late[at])
  end
  redis.call('ZREM', leases, late[at])
end
return #late
