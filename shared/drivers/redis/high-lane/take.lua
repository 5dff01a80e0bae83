-- KEYS list, held, leases. ARGV holder, number of the first ticket, items max, bytes max, lease in ms.
-- Returns the elements, oldest first; the tickets are numbered in that order. Stops once the bytes are passed, so that
-- one reply stays small, and may pass them by 15 elements.
-- Atomic: an element is on the list or held, never neither. Also when a step fails, after which Redis takes nothing back:
-- it is leased and held first and leaves the list last, and a lease of what is not held is reaped without a trace.

local list, held, leases = KEYS[1], KEYS[2], KEYS[3]
local number, left, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline = now + tonumber(ARGV[5])
local taken = {}
while left > 0 and room > 0 do
  local elements = redis.call('LRANGE', list, -math.min(left, 16), -1)
  if #elements == 0 then break end
  local toHold, toLease = {}, {}
  for at = #elements, 1, -1 do
    local element = elements[at]
    local ticket = ARGV[1] .. ':' .. string.format('%012d', number)
    number = number + 1
    room = room - #element
    toHold[#toHold + 1] = ticket
    toHold[#toHold + 1] = element
    toLease[#toLease + 1] = deadline
    toLease[#toLease + 1] = ticket
    taken[#taken + 1] = element
  end
  redis.call('ZADD', leases, unpack(toLease))
  redis.call('HSET', held, unpack(toHold))
  redis.call('LTRIM', list, 0, -#elements - 1)
  left = left - #elements
end
return taken
