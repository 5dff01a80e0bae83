-- KEYS list, turns, fresh, bell, kept, known, tally, held. ARGV name, channel, items max, bytes max, then for each envelope: name of the event,
-- acceptance time, packed envelope.
-- Returns {1, number of new items, 0}, or {0, items, bytes} as they are when the new ones would pass a bound.
-- Atomic: all new ones are kept and announced, or none. Names that are kept or known are passed over and count nothing. A
-- step that fails leaves an event in its row under no name rather than a name without its event: it may come twice.

local kept, known, tally, held = unpack(KEYS, 5)
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
local function counts()
  local items, size = 0, 0
  local found = redis.call('HGETALL', tally)
  for at = 1, #found, 2 do
    local count = math.max(0, number_or(0, found[at + 1]))
    if string.sub(found[at], -6) == ':items' then items = items + count else size = size + count end
  end
  return items, size
end
local function isFull()
  local items, size = counts()
  return items + #fresh > tonumber(ARGV[3]) or size + bytes > tonumber(ARGV[4])
end
-- Before anything is refused: counts that are beyond what the lane has are none of ours.
local function mendCounts()
  local items = math.max(redis.call('ZCARD', kept), redis.call('LLEN', list) + redis.call('HLEN', held))
  for field, most in pairs({[':items'] = items, [':bytes'] = items * ITEM_BYTES_MAX}) do
    if number_or(0, redis.call('HGET', tally, name .. field)) > most then redis.call('HSET', tally, name .. field, most) end
  end
end
if isFull() then
  mendCounts()
  if isFull() then
    local items, size = counts()
    return {0, items, size}
  end
end
for _, at in ipairs(fresh) do
  local event, packed = ARGV[at], ARGV[at + 2]
  local elsewhere = '~' .. event
  if isLive(elsewhere) then packed = '\1' .. packed end
  put('LPUSH', string.match(event, '^[^/]*'), packed)
  redis.call('ZADD', kept, ARGV[at + 1], event)
  redis.call('ZREM', known, event, elsewhere)
end
add_to(#fresh, tally, name .. ':items')
add_to(bytes, tally, name .. ':bytes')
redis.call('PUBLISH', ARGV[2], #fresh)
return {1, #fresh, 0}
