-- The dead letters of these deliveries are gone: what they held back asks nothing more of its event.
-- KEYS: root. ARGV: bytes per shard, then for each delivery tenant, id, endpoint, generation. Returns how many were held.

local count = 0
trim(20)
local function release(at)
  local event = load(ARGV[at], ARGV[at + 1])
  local deliveries = key_of('deliveries', ARGV[at], ARGV[at + 1])
  local field = ARGV[at + 2] .. '|' .. ARGV[at + 3]
  local head, rest = string.match(event and redis.call('HGET', deliveries, field) or '', '^(%S+ %d+ %d+) h (.*)$')
  if head then
    redis.call('HSET', deliveries, field, head .. ' - ' .. rest)
    event.h = event.h - 1
    event.g = math.max(event.g, now + RELEASED_KEPT_MS)
    event.changed = true
    count = count + 1
  end
end
for at = 2, #ARGV, 4 do pcall(release, at) end
finish(tonumber(ARGV[1]))
return count
