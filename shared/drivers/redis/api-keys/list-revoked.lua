-- KEYS: as key-list. ARGV: 1 member, 2 time of revocation, 3 largest number of revoked keys that are kept.
-- Returns the members that fell out of the lists, the longest revoked first.

if redis.call('ZSCORE', KEYS[1], ARGV[1]) then redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[1]) end
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
if over <= 0 then return {} end
local fallen = redis.call('ZRANGE', KEYS[2], 0, over - 1)
for _, member in ipairs(fallen) do
  for index = 1, 3 do redis.call('ZREM', KEYS[index], member) end
end
return fallen
