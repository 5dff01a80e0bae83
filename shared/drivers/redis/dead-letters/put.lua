-- KEYS: root. ARGV: bytes at most, dead letters at most, then for each dead letter: id, JSON, packed envelope, place or nothing.
-- All or nothing. Returns id and JSON of each dead letter that had to make room, now or before, until it is dropped. News that
-- are refused because newer ones or the same are there count as gone, and do not turn up when those are taken out.

local bytes_max, count_max = tonumber(ARGV[1]), tonumber(ARGV[2])
local function put(index)
  local id, text, place = ARGV[index], ARGV[index + 1], ARGV[index + 3]
  local meta, old = cjson.decode(text), read(id)
  if old and old.revision == meta.revision then
    if place ~= '' then redis.call('HSET', root .. ':places', id, place) end
  elseif old and (meta.at <= old.at or (meta.state == old.state and meta.attempts == old.attempts)) then
    mark(id, meta.revision)
  elseif not redis.call('ZSCORE', root .. ':gone', id .. '|' .. meta.revision) then
    if old then take_out(id, old) end
    redis.call('HDEL', root .. ':evicted', id)
    redis.call('HSET', root .. ':meta', id, text)
    redis.call('HSET', root .. ':bodies', id, ARGV[index + 2])
    if place ~= '' then redis.call('HSET', root .. ':places', id, place) end
    -- A list of the wrong type misses it, and the others have it.
    for _, list in ipairs(lists_of(meta)) do redis.pcall('ZADD', list, meta.at, id) end
    weigh(meta.tenant, meta.bytes)
  end
end
for index = 3, #ARGV, 4 do put(index) end
local bytes = number_or(-1, redis.call('GET', root .. ':bytes'))
-- Each put keeps the bound, so a sum that is so far from it was written by somebody else: nobody's letters go for it.
if bytes < 0 or bytes > bytes_max * 2 then weigh_tenants(root, ':tenant:') end
local function is_full()
  return number_or(0, redis.call('GET', root .. ':bytes')) > bytes_max
    or redis.call('ZCARD', root .. ':all') > count_max
end
local made = 0
while made < ROOM_MADE_MAX and is_full() do
  local fullest = redis.call('ZREVRANGE', root .. ':tenants', 0, 0)[1]
  local list = fullest and ':tenant:' .. fullest or ':all'
  local oldest = redis.call('ZRANGE', root .. list, 0, 0)[1]
  if not oldest and fullest then weigh_tenants(root, ':tenant:') end
  if not oldest and not is_full() then break end
  if not oldest then oldest = redis.call('ZRANGE', root .. ':all', 0, 0)[1] end
  if not oldest then break end
  local meta, text = read(oldest)
  if meta then take_out(oldest, meta) else take_out_unreadable(oldest, root .. list) end
  if meta and redis.call('HLEN', root .. ':evicted') < EVICTED_MAX then redis.call('HSET', root .. ':evicted', oldest, text) end
  made = made + 1
end
trim_marks()
if redis.call('EXISTS', root .. ':evicted') == 0 then return {} end
return redis.call('HRANDFIELD', root .. ':evicted', ROOM_MADE_MAX, 'WITHVALUES')
