-- Part: the scan that all lists in Redis share; `ledger/pages.ts` puts its parts together.
-- A part of a list, newest first. `after` and `beyond` are score and member of the last row that the reader has, or
-- nothing; the reply is {how it ended, score, member, how many rows, row, row, ...}: `end`; `more`, when a further row
-- exists; `cut`, when a bound was met before that is known. Score and member name the last place that was looked at.

local PART = 100
local limit, looked_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local after, beyond, since, till = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local rows, looked, bytes, ended = {}, 0, 0, 'end'
local at_score, at_member = after, beyond

-- True when the reader has this place already.
local function is_behind(score, member)
  return after ~= '' and (tonumber(score) > tonumber(after) or (score == after and member >= beyond))
end

-- Looks at one place; row is asked for what is to be shown, and how many bytes that is. False ends the list.
local function look(score, member, row)
  if looked >= looked_max or bytes >= bytes_max then
    ended = 'cut'
    return false
  end
  looked = looked + 1
  local shown, size = row(score, member)
  if shown and #rows >= limit then
    ended = 'more'
    return false
  end
  if shown then
    rows[#rows + 1] = shown
    bytes = bytes + size
  end
  at_score, at_member = score, member
  return true
end

local function scan(key, high, low, row)
  if after ~= '' and (high == '+inf' or tonumber(after) < tonumber(string.sub(high, 2))) then high = after end
  local offset = 0
  while true do
    local part = redis.call('ZREVRANGEBYSCORE', key, high, low, 'WITHSCORES', 'LIMIT', offset, PART)
    for index = 1, #part, 2 do
      local member, score = part[index], part[index + 1]
      if not is_behind(score, member) and not look(score, member, row) then return end
    end
    if #part < 2 * PART then return end
    offset = offset + PART
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
