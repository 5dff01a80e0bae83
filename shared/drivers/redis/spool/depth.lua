-- KEYS stream, bytes. ARGV none.
-- Returns {entries, bytes, age of the oldest in ms or -1}.

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local age = -1
if first then
  for field = 1, #first[2], 2 do
    if first[2][field] == 'at' then age = math.max(0, now - number_or(now, first[2][field + 1])) end
  end
end
return {redis.call('XLEN', KEYS[1]), number_or(0, redis.call('GET', KEYS[2])), age}
