-- KEYS list, turns, fresh, bell, held, leases, holders, kept. ARGV lease in ms, number of items to reap at most, holder, ms for which it counts as
-- present, then tickets to renew.
-- Returns the number of items whose lease ran out or whose holder is absent; they are at the head of their rows now,
-- marked as repeats.
-- Atomic. Renews first, so that a holder that is late but not too late keeps what is its own. When nobody could beat for a
-- while, as while Redis was away, or when its clock stepped, nobody's silence says anything: all get their time again.
-- The bell is hung up for what lies in the lane's list by other hands, and for rows whose turns somebody took out.

local held, leases, holders, kept = unpack(KEYS, 5)
local reapMax, presenceMs = tonumber(ARGV[2]), tonumber(ARGV[4])
local deadline, presentUntil = now + tonumber(ARGV[1]), now + presenceMs
for at = 5, #ARGV do redis.call('ZADD', leases, 'XX', deadline, ARGV[at]) end

local last = redis.call('ZREVRANGEBYSCORE', holders, presentUntil, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if #last == 0 or tonumber(last[2]) < now + presenceMs / 2 then
  for _, each in ipairs(redis.call('ZRANGE', holders, 0, -1)) do redis.call('ZADD', holders, presentUntil, each) end
end
redis.call('ZADD', holders, presentUntil, ARGV[3])

local late = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, reapMax)
local absent, isAbsent = redis.call('ZRANGEBYSCORE', holders, '-inf', now), {}
for _, each in ipairs(absent) do isAbsent[each] = true end
local from = #late
local function add(tickets)
  for _, ticket in ipairs(tickets) do
    if #late == reapMax then return end
    if isAbsent[string.match(ticket, '^[^:]*')] then late[#late + 1] = ticket end
  end
end
while #absent > 0 and #late < reapMax do
  local tickets = redis.call('ZRANGE', leases, from, from + 999)
  if #tickets == 0 then
    redis.call('ZREM', holders, unpack(absent))
    break
  end
  add(tickets)
  from = from + #tickets
end

for at = #late, 1, -1 do
  local element = redis.call('HGET', held, late[at])
  if element then
    put_back(late[at], element)
    redis.call('HDEL', held, late[at])
  end
  redis.call('ZREM', leases, late[at])
end

if redis.call('EXISTS', fresh) == 0 then
  if redis.call('EXISTS', list) == 1 then ring_for('') end
  local names = redis.call('ZCARD', kept)
  if redis.call('EXISTS', turns) == 0 and names > redis.call('HLEN', held) then
    -- Those that are held stand among them: another part at each beat.
    local from = now % names
    find_rows(redis.call('ZRANGE', kept, from, from + NAMES_MAX - 1))
  end
end
if redis.call('EXISTS', bell) == 0 and redis.call('EXISTS', fresh, turns) > 0 then redis.call('LPUSH', bell, '') end
return #late
