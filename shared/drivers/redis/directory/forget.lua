-- Part: what becomes of the versions of tenants without endpoints. They are kept, so that nothing that processes hold is taken
-- for newer, up to a bound; past it those that were emptied first are forgotten. All of them lie in the shard of the script.

local function noteEmpty(tenant, version, most)
  local tenants, forgotten = KEYS[#KEYS - 1], KEYS[#KEYS]
  if redis.call('HLEN', KEYS[3]) > 0 then return redis.call('ZREM', tenants, tenant) end
  redis.call('ZADD', tenants, version, tenant)
  local over = redis.call('ZCARD', tenants) - most
  if over <= 0 then return end
  local prefix = string.sub(KEYS[2], 1, #KEYS[2] - #tenant)
  local gone = redis.call('ZRANGE', tenants, 0, over - 1, 'WITHSCORES')
  for index = 1, #gone, 2 do
    redis.call('DEL', prefix .. gone[index])
    redis.call('ZREM', tenants, gone[index])
    local highest = number_or(0, redis.call('GET', forgotten))
    redis.call('SET', forgotten, string.format('%.0f', math.max(highest, number_or(0, gone[index + 1]))))
  end
end
