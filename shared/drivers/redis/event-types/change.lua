-- KEYS: 1 version, 2 types by name. ARGV: 1 highest version that the caller has seen, 2 name, 3 record or '' to remove it, 4 most
-- types, 5 most bytes of all records, 6 channel and 7 message of the announcement.
-- Returns 'ok', 'none' when there is nothing to remove, 'types' or 'bytes' for what is full.
-- Atomic: the bounds are exact, and the version is raised and announced with the change. A version is the time in ms, or one more
-- than the last where that is greater, so that a Redis that lost its last seconds never gives one out again.

if ARGV[3] == '' then
  if redis.call('HDEL', KEYS[2], ARGV[2]) == 0 then return 'none' end
else
  local names = redis.call('HKEYS', KEYS[2])
  local count, bytes = 1, #ARGV[3]
  for _, name in ipairs(names) do
    if name ~= ARGV[2] then
      count = count + 1
      bytes = bytes + redis.call('HSTRLEN', KEYS[2], name)
    end
  end
  if count > tonumber(ARGV[4]) then return 'types' end
  if bytes > tonumber(ARGV[5]) then return 'bytes' end
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
end
local last = math.max(number_or(0, redis.call('GET', KEYS[1])), tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', math.max(last + 1, math.floor(now))))
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 'ok'
