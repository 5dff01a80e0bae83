-- KEYS list, turns, fresh, bell, held, leases, kept, known, tally. ARGV name, ms for which an event stays known, known ones max, then for
-- each item: ticket, name of the event (empty for poison), bytes that it was counted with.
-- Returns the number of items that were still held under their tickets; the others change nothing.
-- Atomic. When the lane is empty afterwards its counts begin at nothing, whatever was put in or taken out by hand; rows whose
-- turns somebody took out get them back first.

local held, leases, kept, known, tally = unpack(KEYS, 5)
local name, knownMs = ARGV[1], tonumber(ARGV[2])
local items, bytes = 0, 0
local tickets, events, toKnow = {}, {}, {}
for at = 4, #ARGV, 3 do
  if redis.call('HDEL', held, ARGV[at]) == 1 then
    items = items + 1
    tickets[items] = ARGV[at]
    bytes = bytes + tonumber(ARGV[at + 2])
    if ARGV[at + 1] ~= '' then
      events[#events + 1] = ARGV[at + 1]
      toKnow[#toKnow + 1] = now + knownMs
      toKnow[#toKnow + 1] = ARGV[at + 1]
    end
  end
end
if items == 0 then return 0 end
call_in_parts('ZREM', leases, tickets)
call_in_parts('ZREM', kept, events)
call_in_parts('ZADD', known, toKnow)
local isEmpty = redis.call('EXISTS', list, turns, fresh, held) == 0
if isEmpty then
  local names = redis.call('ZRANGE', kept, 0, NAMES_MAX - 1)
  if find_rows(names) == 0 and #names > 0 then redis.call('ZREM', kept, unpack(names)) end
  isEmpty = redis.call('EXISTS', kept) == 0
end
if isEmpty then
  redis.call('HDEL', tally, name .. ':items', name .. ':bytes')
else
  for field, less in pairs({ [':items'] = items, [':bytes'] = bytes }) do
    if add_to(-less, tally, name .. field) < 0 then redis.call('HSET', tally, name .. field, 0) end
  end
end
local old = redis.call('ZRANGEBYSCORE', known, '-inf', now, 'LIMIT', 0, 2 * items + 10)
if #old > 0 then redis.call('ZREM', known, unpack(old)) end
local over = redis.call('ZCARD', known) - tonumber(ARGV[3])
if over > 0 then redis.call('ZPOPMIN', known, math.min(over, 2 * items + 10)) end
redis.call('PEXPIRE', known, knownMs)
return items
