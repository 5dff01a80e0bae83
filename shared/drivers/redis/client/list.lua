-- Part: the scan that all lists in Redis share; `ledger/pages.ts` puts its parts together.
-- A part of a list, newest first. `after` and `beyond` are score and member of the last row that the reader has, or
-- nothing; the reply is {how it ended, score, member, how many rows, row, row, ...}: `end`; `more`, when a further row
-- exists; `cut`, when a bound was met before that is known. Score and member name the last place that was looked at.

local PART, MEMBER_LENGTH_MAX = 100, 256
local limit, looked_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local after, beyond, since, till = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local rows, looked, bytes, ended = {}, 0, 0, 'end'
local at_score, at_member = after, beyond

-- True when the reader has this place already.
local function is_behind(score, member)
  return after ~= '' and (tonumber(score) > tonumber(after) or (score == after and member >= beyond))
end

-- Whether a reader may go on from here: a cursor names no other places. What else lies in a list was put there by hand.
local function is_place(score, member)
  return number_or(0.5, score) % 1 == 0 and #member <= MEMBER_LENGTH_MAX and not string.find(member, '%c')
end

-- Looks at one place; row is asked for what is to be shown, and how many bytes that is. False ends the list. A row whose
-- parts are not what was written costs itself.
local function look(score, member, row)
  if looked >= looked_max or bytes >= bytes_max then
    ended = 'cut'
    return false
  end
  looked = looked + 1
  local is_fine, shown, size = pcall(row, score, member)
  if not is_fine or not is_place(score, member) then shown = nil end
  if shown and #rows >= limit then
    ended = 'more'
    return false
  end
  if shown then
    rows[#rows + 1] = shown
    bytes = bytes + size
  end
  if is_place(score, member) then at_score, at_member = score, member end
  return true
end

-- How many places of the list lie before the first that is asked for: before `high`, or that the reader has already. Counted, and within
-- one score by halves, for any number of places may have it.
local function places_before(key, high)
  local top = string.sub(high, 2)
  if after == '' or tonumber(after) >= tonumber(top) then return redis.call('ZCOUNT', key, top, '+inf') end
  local first = redis.call('ZCOUNT', key, '(' .. after, '+inf')
  local last = first + redis.call('ZCOUNT', key, after, after)
  while first < last do
    local middle = math.floor((first + last) / 2)
    local member = redis.call('ZREVRANGE', key, middle, middle)[1]
    if member and member >= beyond then first = middle + 1 else last = middle end
  end
  return first
end

-- By rank, so that a part takes as long wherever it lies: a score and an offset would go over all of that score that the reader has.
local function scan(key, high, low, row)
  -- Times that a clock may show.
  if high == '+inf' then high = '(281474976710656' end
  if low == '-inf' then low = '0' end
  local index = places_before(key, high)
  while true do
    local part = redis.call('ZREVRANGE', key, index, index + PART - 1, 'WITHSCORES')
    for at = 1, #part, 2 do
      if tonumber(part[at + 1]) < tonumber(low) then return end
      if not look(part[at + 1], part[at], row) then return end
    end
    if #part < 2 * PART then return end
    index = index + PART
  end
end

local function is_within(accepted)
  return (since == '' or tonumber(accepted) >= tonumber(since)) and (till == '' or tonumber(accepted) < tonumber(till))
end

local function bounds()
  return till == '' and '+inf' or '(' .. till, since == '' and '-inf' or since
end

local function reply()
  local list = {ended, at_score, at_member, #rows}
  for _, row in ipairs(rows) do list[#list + 1] = row end
  return list
end
