-- KEYS list, held, leases. ARGV holder, number of the first ticket, items max, bytes max, lease in ms.
-- Returns the elements, oldest first; the tickets are numbered in that order. Stops once the bytes are passed, so that
-- one reply stays small, and may pass them by 15 elements.
-- Atomic: an element is on the list or held, never neither.

local list, held, leases = KEYS[1], KEYS[2], KEYS[3]
local number, left, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline = now + tonumber(ARGV[5])
local taken = {}
while left > 0 and room > 0 do
  local elements = redis.call('RPOP', list, math.min(left, 16))
  if not elements or #elements == 0 then break end
  local toHold, toLease = {}, {}
  for _, element in ipairs(elements) do
    local ticket = ARGV[1] .. ':' .. string.format('%012d', number)
    number = number + 1
    room = room - #element
    toHold[#toHold + 1] = ticket
    toHold[#toHold + 1] = element
    toLease[#toLease + 1] = deadline
    toLease[#toLease + 1] = ticket
    taken[#taken + 1] = element
  end
  redis.call('HSET', held, unpack(toHold))
  redis.call('ZADD', leases, unpack(toLease))
  left = left - #elements
end
return taken
