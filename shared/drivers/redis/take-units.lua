-- KEYS[1] log of the subject: a sorted set, one member for each grain of time with grants, the latest of them its score. It is
--         `<units before>:<units after>`, counted since the log was last empty, so that the units of a window are one
--         subtraction and the time of any unit is a binary search. Entries: at most limit, and windowMs / grain.
-- KEYS[2] subjects that are remembered: a sorted set by their last use
-- KEYS[3] hash: `last` time that was given out, `offset` that was added to it, `uses` so far
-- ARGV    limit, windowMs, cost, subjectsMax, grain in ms
-- Returns {granted 0 or 1, units that would still be granted, resetMs, the time of this call}
-- Atomic: look, grant and forget are one step, so calls of all processes see one log. Time never goes back: after a step
-- of the server's clock, or a failover to one that is behind, it goes on from where it was, at the same pace.

local log, subjects, clock = KEYS[1], KEYS[2], KEYS[3]
local limit, window, cost, grain = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])

local known = redis.call("HMGET", clock, "last", "offset", "uses")
local last, offset, uses = number_or(0, known[1]), number_or(0, known[2]), number_or(0, known[3]) + 1
-- A time that no step of a clock explains is none of ours: what was granted by it is forgotten with it.
if last > now + CLOCK_STEP_MS_MAX or last < 0 or offset < 0 or offset > CLOCK_STEP_MS_MAX then last, offset = 0, 0 end
local at = now + offset
if at < last then
  offset = offset + last - at
  at = last
end
redis.call("HSET", clock, "last", at, "offset", offset, "uses", uses)

if redis.call("ZADD", subjects, uses, log) == 1 and redis.call("ZCARD", subjects) > tonumber(ARGV[4]) then
  redis.call("UNLINK", redis.call("ZPOPMIN", subjects)[1])
end

local function entry(index)
  local found = redis.call("ZRANGE", log, index, index, "WITHSCORES")
  if not found[1] then return nil end
  local before, after = string.match(found[1], "^(%d+):(%d+)$")
  return {before = number_or(-1, before), after = number_or(-1, after), at = tonumber(found[2]), member = found[1]}
end

redis.call("ZREMRANGEBYSCORE", log, "-inf", at - window)
local oldest, newest = entry(0), entry(-1)
if newest and newest.at > at then
  -- Grants of a time to come are none: put there by hand, or left by a time that was forgotten.
  redis.call("ZREMRANGEBYSCORE", log, "(" .. string.format("%.0f", at), "+inf")
  oldest, newest = entry(0), entry(-1)
end
local used = 0
if oldest then used = newest.after - oldest.before end
if oldest and (oldest.before < 0 or newest.after < 0 or used < 0) then
  redis.call("UNLINK", log)
  oldest, newest, used = nil, nil, 0
end

if used + cost <= limit then
  local before, after = 0, cost
  if newest then
    before, after = newest.after, newest.after + cost
    if math.floor(newest.at / grain) == math.floor(at / grain) then
      before = newest.before
      redis.call("ZREM", log, newest.member)
    end
  end
  redis.call("ZADD", log, at, string.format("%d:%d", before, after))
  redis.call("PEXPIRE", log, window + LOG_SLACK_MS)
  return {1, limit - used - cost, window, at}
end

local reset = window
if oldest and used + cost - limit <= used then
  local wanted = oldest.before + used + cost - limit
  local low, high = 0, redis.call("ZCARD", log) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if entry(middle).after >= wanted then high = middle else low = middle + 1 end
  end
  reset = math.max(0, entry(low).at + window - at)
end
return {0, math.max(0, limit - used), reset, at}
