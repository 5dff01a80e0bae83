-- KEYS[1] log of the subject, as in take-units.lua
-- KEYS[2] hash: `last` time that was given out, `offset` that was added to it
-- ARGV    limit, windowMs, cost, time of the grant as take-units.lua gave it
-- Returns {units that would be granted now, ms until the window is empty}
-- Atomic: units leave the entry of the grain they were granted in, and those behind it move up in one step. Units that have
-- left the window, or were forgotten with their subject, give nothing back.

local log, clock = KEYS[1], KEYS[2]
local limit, window, cost, granted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local known = redis.call("HMGET", clock, "last", "offset")
local at = math.max(number_or(0, known[1]), now + number_or(0, known[2]))

local function units(member)
  local before, after = string.match(member, "^(%d+):(%d+)$")
  return number_or(nil, before), number_or(nil, after)
end

redis.call("ZREMRANGEBYSCORE", log, "-inf", at - window)
local given = 0
if granted > at - window then
  local later = redis.call("ZRANGEBYSCORE", log, granted, "+inf", "WITHSCORES")
  if later[1] then
    local before, after = units(later[1])
    given = before and math.min(cost, after - before) or 0
  end
  for index = 1, #later, 2 do redis.call("ZREM", log, later[index]) end
  for index = 1, #later, 2 do
    local before, after = units(later[index])
    if before and index > 1 then before = before - given end
    -- A member that is none of ours is gone with this.
    if before and after - given > before then
      redis.call("ZADD", log, later[index + 1], string.format("%d:%d", before, after - given))
    end
  end
  if given > 0 then redis.call("PEXPIRE", log, window + LOG_SLACK_MS) end
end

local oldest, newest = redis.call("ZRANGE", log, 0, 0)[1], redis.call("ZRANGE", log, -1, -1, "WITHSCORES")
if not oldest then return {limit, 0} end
local before = units(oldest)
local _, after = units(newest[1])
if not before or not after then return {limit, 0} end
return {math.max(0, limit - (after - before)), math.max(0, tonumber(newest[2]) + window - at)}
