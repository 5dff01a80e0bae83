-- KEYS[1] subjects that are remembered: a sorted set by their last use
-- KEYS[2] hash: `last` time that was given out, `offset` that was added to it, `uses` so far
-- KEYS[3] and on: the log of a subject each, a sorted set, one member for each grain of time with grants, the latest of them its
--         score. It is `<units before>:<units after>`, counted since the log was last empty, so that the units of a window are one
--         subtraction and the time of any unit is a binary search. Entries: at most limit, and windowMs / grain.
-- ARGV    subjectsMax, then for each log: limit, windowMs, grain in ms, number of calls, the cost of each call
-- Returns {the time of these calls, then for each call: granted 0 or 1, units that would still be granted, resetMs}
-- Atomic: look, grant and forget are one step, so calls of all processes see one log, and calls that came together are as calls
-- one after the other. Time never goes back: after a step of the server's clock, or a failover to one that is behind, it goes
-- on from where it was, at the same pace.

local subjects, clock = KEYS[1], KEYS[2]
local subjects_max = tonumber(ARGV[1])

local known = redis.call("HMGET", clock, "last", "offset", "uses")
local last, offset, uses = number_or(0, known[1]), number_or(0, known[2]), number_or(0, known[3])
-- A time that no step of a clock explains is none of ours: what was granted by it is forgotten with it.
if last > now + CLOCK_STEP_MS_MAX or last < 0 or offset < 0 or offset > CLOCK_STEP_MS_MAX then last, offset = 0, 0 end
local at = now + offset
if at < last then
  offset = offset + last - at
  at = last
end
redis.call("HSET", clock, "last", at, "offset", offset, "uses", uses + #KEYS - 2)

local function entry(log, index)
  local found = redis.call("ZRANGE", log, index, index, "WITHSCORES")
  if not found[1] then return nil end
  local before, after = string.match(found[1], "^(%d+):(%d+)$")
  return {before = number_or(-1, before), after = number_or(-1, after), at = tonumber(found[2]), member = found[1]}
end

-- What the log says of its window: the units that are taken, and the entries at its ends. What cannot be ours is forgotten.
local function window_of(log)
  local oldest, newest = entry(log, 0), entry(log, -1)
  if newest and newest.at > at then
    -- Grants of a time to come are none: put there by hand, or left by a time that was forgotten.
    redis.call("ZREMRANGEBYSCORE", log, "(" .. string.format("%.0f", at), "+inf")
    oldest, newest = entry(log, 0), entry(log, -1)
  end
  if not oldest then return 0, nil, nil end
  local used = newest.after - oldest.before
  if oldest.before < 0 or newest.after < 0 or used < 0 then
    redis.call("UNLINK", log)
    return 0, nil, nil
  end
  return used, oldest, newest
end

-- Units that were granted, behind the newest entry or joined with it.
local function write(log, units, newest, window, grain)
  local before, after = 0, units
  if newest then
    before, after = newest.after, newest.after + units
    if math.floor(newest.at / grain) == math.floor(at / grain) then
      before = newest.before
      redis.call("ZREM", log, newest.member)
    end
  end
  redis.call("ZADD", log, at, string.format("%d:%d", before, after))
  redis.call("PEXPIRE", log, window + LOG_SLACK_MS)
end

-- How long until so many units have left the window that `cost` more are granted.
local function reset_of(log, window, limit, cost, used, oldest)
  if not oldest or cost > limit then return window end
  local wanted = oldest.before + used + cost - limit
  local low, high = 0, redis.call("ZCARD", log) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if entry(log, middle).after >= wanted then high = middle else low = middle + 1 end
  end
  return math.max(0, entry(log, low).at + window - at)
end

local answers = {at}

-- The calls of one log, whose costs are the arguments from `first` on.
local function take(log, limit, window, grain, first, count)
  redis.call("ZREMRANGEBYSCORE", log, "-inf", at - window)
  local used, oldest, newest = window_of(log)
  local granted = 0
  local function settle()
    if granted == 0 then return end
    write(log, granted, newest, window, grain)
    granted = 0
    used, oldest, newest = window_of(log)
  end
  for place = first, first + count - 1 do
    local cost = tonumber(ARGV[place])
    local left = limit - used - granted
    local isGranted = cost <= left
    local reset = window
    if isGranted then
      granted = granted + cost
      left = left - cost
    else
      settle()
      reset = reset_of(log, window, limit, cost, used, oldest)
    end
    answers[#answers + 1] = isGranted and 1 or 0
    answers[#answers + 1] = math.max(0, left)
    answers[#answers + 1] = reset
  end
  if granted > 0 then write(log, granted, newest, window, grain) end
end

-- First of all: a log of another type fails the call before anything is granted.
if #KEYS > 3 then
  for index = 3, #KEYS do redis.call("ZCARD", KEYS[index]) end
end

local place = 2
for index = 3, #KEYS do
  local log = KEYS[index]
  uses = uses + 1
  if redis.call("ZADD", subjects, uses, log) == 1 and redis.call("ZCARD", subjects) > subjects_max then
    redis.call("UNLINK", redis.call("ZPOPMIN", subjects)[1])
  end
  local limit, window, grain, count = tonumber(ARGV[place]), tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3])
  take(log, limit, window, grain, place + 4, count)
  place = place + 4 + count
end
return answers
