-- KEYS list, turns, fresh, bell, held, leases. ARGV holder, number of the first ticket, how many numbers.
-- Returns the number of items put back to the heads of their rows, in the order of taking, marked as repeats.
-- Atomic. For a take whose answer was lost: nobody knows what it took, nor of which tenants, so that all leases are looked through.

local held, leases = unpack(KEYS, 5)
local first = tonumber(ARGV[2])
local last = first + tonumber(ARGV[3]) - 1
local taken, from = {}, 0
repeat
  local tickets = redis.call('ZRANGE', leases, from, from + 999)
  for _, ticket in ipairs(tickets) do
    local holder, number = string.match(ticket, '^([^:]*):(%d+)')
    number = tonumber(number)
    if holder == ARGV[1] and number and number >= first and number <= last then taken[#taken + 1] = ticket end
  end
  from = from + #tickets
until #tickets < 1000
return give_back(held, leases, taken)
