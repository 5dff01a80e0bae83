-- KEYS: root. ARGV: bytes at most, dead letters at most, then for each dead letter: id, JSON, packed envelope, place or nothing.
-- All or nothing. Returns id and JSON of each dead letter that had to make room, now or before, until it is dropped. News that
-- are refused because newer ones or the same are there count as gone, and do not turn up when those are taken out.

local bytes_max, count_max = tonumber(ARGV[1]), tonumber(ARGV[2])
for index = 3, #ARGV, 4 do
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
    for _, list in ipairs(lists_of(meta)) do redis.call('ZADD', list, meta.at, id) end
    weigh(meta.tenant, meta.bytes)
  end
end
local function is_full()
  return tonumber(redis.call('GET', root .. ':bytes') or 0) > bytes_max
    or redis.call('ZCARD', root .. ':all') > count_max
end
local made = 0
while made < ROOM_MADE_MAX and is_full() do
  local fullest = redis.call('ZREVRANGE', root .. ':tenants', 0, 0)[1]
  local list = fullest and ':tenant:' .. fullest or ':all'
  local oldest = redis.call('ZRANGE', root .. list, 0, 0)[1]
  if not oldest then break end
  local meta, text = read(oldest)
  if meta then take_out(oldest, meta) else take_out_unreadable(oldest, root .. list) end
  if meta and redis.call('HLEN', root .. ':evicted') < EVICTED_MAX then redis.call('HSET', root .. ':evicted', oldest, text) end
  made = made + 1
end
trim_marks()
if redis.call('EXISTS', root .. ':evicted') == 0 then return {} end
return redis.call('HRANDFIELD', root .. ':evicted', ROOM_MADE_MAX, 'WITHVALUES')
