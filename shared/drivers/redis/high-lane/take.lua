-- KEYS list, turns, fresh, bell, held, leases. ARGV holder, number of the first ticket, items max, bytes max, lease in ms, then the
-- tenants of which nothing is wanted now.
-- Returns for each turn a list: the tenant, then its elements, oldest first. The tickets are numbered in that order. Stops once the
-- bytes are passed, so that one reply stays small, and may pass them by TURN_ITEMS_MAX - 1 elements.
-- Atomic: an element is in its row or held, never neither. Also when a step fails, after which Redis takes nothing back:
-- it is leased and held first and leaves the row last, and a lease of what is not held is reaped without a trace.
--
-- Tenants are served in turn, those first that had nothing waiting before.

local held, leases = unpack(KEYS, 5)
local number, left, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline = now + tonumber(ARGV[5])
local isUnwanted = {}
for at = 6, #ARGV do isUnwanted[ARGV[at]] = true end
local taken = {}

-- Returns how many it took.
local function take_from(row, tenant, most)
  local elements = redis.call('LRANGE', row, -math.min(most, left), -1)
  if #elements == 0 then return 0 end
  local toHold, toLease, turn = {}, {}, {tenant}
  for at = #elements, 1, -1 do
    local element = elements[at]
    local ticket = ARGV[1] .. ':' .. string.format('%012d', number) .. ':' .. tenant
    number = number + 1
    room = room - #element
    toHold[#toHold + 1] = ticket
    toHold[#toHold + 1] = element
    toLease[#toLease + 1] = deadline
    toLease[#toLease + 1] = ticket
    turn[#turn + 1] = element
  end
  redis.call('ZADD', leases, unpack(toLease))
  redis.call('HSET', held, unpack(toHold))
  redis.call('LTRIM', row, 0, -#elements - 1)
  left = left - #elements
  taken[#taken + 1] = turn
  return #elements
end

local new, waiting = redis.call('LLEN', fresh), redis.call('LLEN', turns)
waiting = waiting + new
local share = math.min(TURN_ITEMS_MAX, math.ceil(left / math.max(1, waiting)))
local passed = 0
take_from(list, '', share)
while left > 0 and room > 0 and passed <= waiting do
  local line = new > 0 and fresh or turns
  local tenant = redis.call('LINDEX', line, -1)
  if line == fresh then new = new - 1 end
  if not tenant then
    if take_from(list, '', share) == 0 then break end
  elseif isUnwanted[tenant] then
    redis.call('LMOVE', line, turns, 'RIGHT', 'LEFT')
    passed = passed + 1
  else
    local row = row_of(tenant)
    local there = tenant ~= '' and items_of(row) or 0
    if there > 0 then there = there - take_from(row, tenant, share) end
    if there > 0 then
      redis.call('LMOVE', line, turns, 'RIGHT', 'LEFT')
    else
      redis.call('RPOP', line)
    end
    passed = 0
  end
end
if redis.call('EXISTS', fresh, turns) == 0 then redis.call('DEL', bell) end
return taken
