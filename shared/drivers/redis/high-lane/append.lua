-- KEYS list, turns, fresh, bell, kept, known, tally, held. ARGV name, channel, items max, bytes max, then for each call: number of its
-- envelopes, and for each of them: name of the event, acceptance time, packed envelope.
-- Returns for each call, one after the other: 1, number of new items, 0; or 0, items, bytes as they are when its new ones would
-- pass a bound.
-- Atomic: all new ones of a call are kept and announced, or none. Names that are kept or known are passed over and count nothing.
-- A step that fails leaves an event in its row under no name rather than a name without its event: it may come twice.

local kept, known, tally, held = unpack(KEYS, 5)
local name, items_max, bytes_max = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])

local function is_live(member)
  local expiry = redis.call('ZSCORE', known, member)
  return expiry and tonumber(expiry) > now
end

local function counts()
  local items, size = 0, 0
  local found = redis.call('HGETALL', tally)
  for at = 1, #found, 2 do
    local count = math.max(0, number_or(0, found[at + 1]))
    if string.sub(found[at], -6) == ':items' then items = items + count else size = size + count end
  end
  return items, size
end

local items, size = counts()
local function is_full(more_items, more_bytes)
  return items + more_items > items_max or size + more_bytes > bytes_max
end

-- Before anything is refused: counts that are beyond what the lane has are none of ours.
local function mend_counts()
  local most = math.max(redis.call('ZCARD', kept), redis.call('LLEN', list) + redis.call('HLEN', held))
  for field, limit in pairs({[':items'] = most, [':bytes'] = most * ITEM_BYTES_MAX}) do
    if number_or(0, redis.call('HGET', tally, name .. field)) > limit then redis.call('HSET', tally, name .. field, limit) end
  end
  items, size = counts()
end

-- Places of those that are new among the arguments of one call, and their bytes.
local function new_ones(first, last)
  local fresh, bytes, seen = {}, 0, {}
  for at = first, last, 3 do
    local event = ARGV[at]
    if not seen[event] and not redis.call('ZSCORE', kept, event) and not is_live(event) then
      seen[event] = true
      fresh[#fresh + 1] = at
      bytes = bytes + #ARGV[at + 2]
    end
  end
  return fresh, bytes
end

local function keep(at)
  local event, packed = ARGV[at], ARGV[at + 2]
  local elsewhere = '~' .. event
  if is_live(elsewhere) then packed = '\1' .. packed end
  put('LPUSH', string.match(event, '^[^/]*'), packed)
  redis.call('ZADD', kept, ARGV[at + 1], event)
  redis.call('ZREM', known, event, elsewhere)
end

local answers, added = {}, 0
local first = 5
while first <= #ARGV do
  local last = first + 3 * tonumber(ARGV[first])
  local fresh, bytes = new_ones(first + 1, last)
  if #fresh > 0 and is_full(#fresh, bytes) then mend_counts() end
  local isKept = #fresh == 0 or not is_full(#fresh, bytes)
  if isKept then
    items, size = items + #fresh, size + bytes
    -- First, so that a step that fails leaves a count too high, which mends itself, and none too low.
    if #fresh > 0 then
      add_to(#fresh, tally, name .. ':items')
      add_to(bytes, tally, name .. ':bytes')
    end
    for _, at in ipairs(fresh) do keep(at) end
    added = added + #fresh
  end
  answers[#answers + 1] = isKept and 1 or 0
  answers[#answers + 1] = isKept and #fresh or items
  answers[#answers + 1] = isKept and 0 or size
  first = last + 1
end
if added > 0 then redis.call('PUBLISH', ARGV[2], added) end
return answers
