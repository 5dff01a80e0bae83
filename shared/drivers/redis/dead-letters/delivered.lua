-- KEYS: root. ARGV: for each delivery that was made: tenant, endpoint, event, when. Returns id and JSON of each dead letter of that
-- event and endpoint whose generation began until then.

local found = {}
for index = 1, #ARGV, 4 do
  local tenant, endpoint, event, till = ARGV[index], ARGV[index + 1], ARGV[index + 2], tonumber(ARGV[index + 3])
  local short, long = root .. ':event:' .. event, root .. ':endpoint:' .. endpoint
  if redis.call('ZCARD', long) < redis.call('ZCARD', short) then short, long = long, short end
  for _, id in ipairs(redis.call('ZREVRANGE', short, 0, LOOKED_MAX - 1)) do
    if redis.call('ZSCORE', long, id) then
      local meta, text = read(id)
      if meta and meta.tenant == tenant and meta.event == event and meta.endpoint == endpoint
        and number_or(0, meta.generation) <= till then
        found[#found + 1] = id
        found[#found + 1] = text
      end
    end
  end
end
return found
