-- KEYS: root. ARGV: bytes at most, letters at most, then for each letter: id, JSON, packed envelope, place or nothing.
-- All or nothing. Returns id and JSON of each letter that had to make room, now or before, until it is dropped. News that
-- are refused because newer ones or the same are there count as gone, and do not turn up when those are taken out.

local bytes_max, letters_max = tonumber(ARGV[1]), tonumber(ARGV[2])
for index = 3, #ARGV, 4 do
  local id, text, place = ARGV[index], ARGV[index + 1], ARGV[index + 3]
  local letter, old = cjson.decode(text), read(id)
  if old and old.revision == letter.revision then
    if place ~= '' then redis.call('HSET', root .. ':places', id, place) end
  elseif old and (letter.at <= old.at or (letter.state == old.state and letter.attempts == old.attempts)) then
    mark(id, letter.revision)
  elseif not redis.call('ZSCORE', root .. ':gone', id .. '|' .. letter.revision) then
    if old then take_out(id, old) end
    redis.call('HDEL', root .. ':buried', id)
    redis.call('HSET', root .. ':meta', id, text)
    redis.call('HSET', root .. ':bodies', id, ARGV[index + 2])
    if place ~= '' then redis.call('HSET', root .. ':places', id, place) end
    for _, list in ipairs(lists_of(letter)) do redis.call('ZADD', list, letter.at, id) end
    weigh(letter.tenant, letter.bytes)
  end
end
local function is_full()
  return tonumber(redis.call('GET', root .. ':bytes') or 0) > bytes_max
    or redis.call('ZCARD', root .. ':all') > letters_max
end
local made = 0
while made < ROOM_MADE_MAX and is_full() do
  local fullest = redis.call('ZREVRANGE', root .. ':tenants', 0, 0)[1]
  local list = fullest and ':tenant:' .. fullest or ':all'
  local oldest = redis.call('ZRANGE', root .. list, 0, 0)[1]
  if not oldest then break end
  local letter, text = read(oldest)
  take_out(oldest, letter)
  if redis.call('HLEN', root .. ':buried') < BURIED_MAX then redis.call('HSET', root .. ':buried', oldest, text) end
  made = made + 1
end
trim_marks()
if redis.call('EXISTS', root .. ':buried') == 0 then return {} end
return redis.call('HRANDFIELD', root .. ':buried', ROOM_MADE_MAX, 'WITHVALUES')
