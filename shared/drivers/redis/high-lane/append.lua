-- KEYS list, turns, fresh, bell, kept, known, tally, held. ARGV name, channel, items max, bytes max, then for each call: number of its
-- envelopes, and for each of them: name of the event, acceptance time, packed envelope.
-- Returns for each call, one after the other: 1, number of new items, 0; or 0, items, bytes as they are when its new ones would
-- pass a bound.
-- Atomic: all new ones of a call are kept and announced, or none. Names that are kept or known are passed over and count nothing.
-- A step that fails leaves an event in its row under no name rather than a name without its event: it may come twice.

local kept, known, tally, held = unpack(KEYS, 5)
local name, items_max, bytes_max = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])

local function scores(key, members)
  local found = {}
  for at = 1, #members, 1000 do
    local last = math.min(#members, at + 999)
    local part = redis.call('ZMSCORE', key, unpack(members, at, last))
    for index = at, last do found[members[index]] = part[index - at + 1] end
  end
  return found
end

-- Asked once for all calls. What a call keeps is in `keptAt` for those after it.
local members, others = {}, {}
do
  local first = 5
  while first <= #ARGV do
    local last = first + 3 * tonumber(ARGV[first])
    for at = first + 1, last, 3 do
      members[#members + 1] = ARGV[at]
      others[#others + 1] = ARGV[at]
      others[#others + 1] = '~' .. ARGV[at]
    end
    first = last + 1
  end
end
local keptAt, knownUntil = scores(kept, members), scores(known, others)

local function is_live(member)
  local expiry = knownUntil[member]
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

-- Before anything is refused: counts that are beyond what the lane has are none of ours. Those of calls before this one, which are
-- about to be added, are beside them.
local function mend_counts(itemsAdded, bytesAdded)
  local most = math.max(redis.call('ZCARD', kept), redis.call('LLEN', list) + redis.call('HLEN', held))
  for field, limit in pairs({[':items'] = most, [':bytes'] = most * ITEM_BYTES_MAX}) do
    if number_or(0, redis.call('HGET', tally, name .. field)) > limit then redis.call('HSET', tally, name .. field, limit) end
  end
  items, size = counts()
  items, size = items + itemsAdded, size + bytesAdded
end

-- Places of those that are new among the arguments of one call, and their bytes.
local function new_ones(first, last)
  local fresh, bytes, seen = {}, 0, {}
  for at = first, last, 3 do
    local event = ARGV[at]
    if not seen[event] and not keptAt[event] and not is_live(event) then
      seen[event] = true
      fresh[#fresh + 1] = at
      bytes = bytes + #ARGV[at + 2]
    end
  end
  return fresh, bytes
end

-- What was put into its row has its name, also when a later one cannot be put.
local toKeep, toForget = {}, {}
local function put_all(places)
  for _, at in ipairs(places) do
    local event, packed = ARGV[at], ARGV[at + 2]
    local elsewhere = '~' .. event
    if is_live(elsewhere) then packed = '\1' .. packed end
    put('LPUSH', string.match(event, '^[^/]*'), packed)
    toKeep[#toKeep + 1] = ARGV[at + 1]
    toKeep[#toKeep + 1] = event
    if knownUntil[event] then toForget[#toForget + 1] = event end
    if knownUntil[elsewhere] then toForget[#toForget + 1] = elsewhere end
  end
end

local answers, places, bytesAdded = {}, {}, 0
local first = 5
while first <= #ARGV do
  local last = first + 3 * tonumber(ARGV[first])
  local fresh, bytes = new_ones(first + 1, last)
  if #fresh > 0 and is_full(#fresh, bytes) then mend_counts(#places, bytesAdded) end
  local isKept = #fresh == 0 or not is_full(#fresh, bytes)
  if isKept then
    items, size = items + #fresh, size + bytes
    bytesAdded = bytesAdded + bytes
    for _, at in ipairs(fresh) do
      keptAt[ARGV[at]] = true
      places[#places + 1] = at
    end
  end
  answers[#answers + 1] = isKept and 1 or 0
  answers[#answers + 1] = isKept and #fresh or items
  answers[#answers + 1] = isKept and 0 or size
  first = last + 1
end
if #places == 0 then return answers end
-- First, so that a step that fails leaves a count too high, which mends itself, and none too low.
add_to(#places, tally, name .. ':items')
add_to(bytesAdded, tally, name .. ':bytes')
local isFine, fault = pcall(put_all, places)
call_in_parts('ZADD', kept, toKeep)
call_in_parts('ZREM', known, toForget)
if not isFine then error(fault) end
redis.call('PUBLISH', ARGV[2], #places)
return answers
