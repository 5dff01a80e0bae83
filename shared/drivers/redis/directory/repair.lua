-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 changes, 5 order of the tenant, 6 order of the shard, 7 note of added memories,
-- 8 tenants without endpoints, 9 highest forgotten version.
-- ARGV: 1 epoch and 2 version of the memory, 3 a fresh epoch, 4 tenant, 5 most tenants without endpoints, then
-- endpoint id, place and text, in turn.
-- Returns {epoch that holds now, 'repaired' or 'kept'}; 'kept' when there was nothing to repair (any more).
-- Atomic: nobody reads half a repair, and of several processes that repair one does it. The version ends above both.

redis.call('SET', KEYS[1], ARGV[3], 'NX')
local epoch = redis.call('GET', KEYS[1])
local version = tonumber(knownVersion())
local held = tonumber(ARGV[2])
local isSame = epoch == ARGV[1]
local isDone = version >= held
if not isSame then isDone = number_or(-1, redis.call('HGET', KEYS[7], ARGV[1])) >= held end
if isDone then return {epoch, 'kept'} end

local isHeld = {}
for index = 6, #ARGV, 2 do
  local id, stored = ARGV[index], ARGV[index + 1]
  isHeld[id] = true
  if isSame or redis.call('HEXISTS', KEYS[3], id) == 0 then
    local place = string.sub(stored, 1, PLACE_LENGTH)
    redis.call('HSET', KEYS[3], id, stored)
    redis.call('ZADD', KEYS[5], 0, place .. id)
    redis.call('ZADD', KEYS[6], 0, place .. id .. ':' .. ARGV[4])
  end
end
if isSame then
  local there = redis.call('HGETALL', KEYS[3])
  for index = 1, #there, 2 do
    local id = there[index]
    if not isHeld[id] then
      local place = string.sub(there[index + 1], 1, PLACE_LENGTH)
      redis.call('HDEL', KEYS[3], id)
      redis.call('ZREM', KEYS[5], place .. id)
      redis.call('ZREM', KEYS[6], place .. id .. ':' .. ARGV[4])
    end
  end
else
  redis.call('HSET', KEYS[7], ARGV[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[7], NOTE_MS)
end
version = math.max(version + 1, held + 1, math.floor(now))
redis.call('SET', KEYS[2], string.format('%.0f', version))
redis.call('DEL', KEYS[4])
noteEmpty(ARGV[4], version, tonumber(ARGV[5]))
return {epoch, 'repaired'}
