-- KEYS list, kept, known, tally. ARGV name, channel, items max, bytes max, then for each envelope: name of the event,
-- acceptance time, packed envelope.
-- Returns {1, number of new items, 0}, or {0, items, bytes} as they are when the new ones would pass a bound.
-- Atomic: all new ones are kept and announced, or none. Names that are kept or known are passed over and count nothing. A
-- step that fails leaves an event on the list under no name rather than a name without its event: it may come twice.

local list, kept, known, tally = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name = ARGV[1]
local seen, fresh, bytes = {}, {}, 0
local function isLive(member)
  local expiry = redis.call('ZSCORE', known, member)
  return expiry and tonumber(expiry) > now
end
for at = 5, #ARGV, 3 do
  local event = ARGV[at]
  if not seen[event] and not redis.call('ZSCORE', kept, event) and not isLive(event) then
    seen[event] = true
    fresh[#fresh + 1] = at
    bytes = bytes + #ARGV[at + 2]
  end
end
if #fresh == 0 then return {1, 0, 0} end
local itemsNow, bytesNow = 0, 0
local counts = redis.call('HGETALL', tally)
for at = 1, #counts, 2 do
  if string.sub(counts[at], -6) == ':items' then itemsNow = itemsNow + tonumber(counts[at + 1])
  else bytesNow = bytesNow + tonumber(counts[at + 1]) end
end
if itemsNow + #fresh > tonumber(ARGV[3]) or bytesNow + bytes > tonumber(ARGV[4]) then return {0, itemsNow, bytesNow} end
for _, at in ipairs(fresh) do
  local event, packed = ARGV[at], ARGV[at + 2]
  local elsewhere = '~' .. event
  if isLive(elsewhere) then packed = '\1' .. packed end
  redis.call('LPUSH', list, packed)
  redis.call('ZADD', kept, ARGV[at + 1], event)
  redis.call('ZREM', known, event, elsewhere)
end
redis.call('HINCRBY', tally, name .. ':items', #fresh)
redis.call('HINCRBY', tally, name .. ':bytes', bytes)
redis.call('PUBLISH', ARGV[2], #fresh)
return {1, #fresh, 0}
