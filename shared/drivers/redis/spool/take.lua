-- KEYS stream. ARGV entries max, bytes max, ms after which what another has taken is taken from it.
-- Returns {now, then for each entry its id, when it came, the packed record}, oldest first. Stops once the bytes are passed.
-- All takers are one consumer, so that no process leaves its name behind; an entry is taken from one that was silent for long.

local stream = KEYS[1]
local left, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken = {string.format('%.0f', now)}
if redis.call('EXISTS', stream) == 0 then return taken end

local function keep(entries)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    local at, packed = '', ''
    if fields then
      for field = 1, #fields, 2 do
        if fields[field] == 'at' then at = fields[field + 1] elseif fields[field] == 'packed' then packed = fields[field + 1] end
      end
    end
    taken[#taken + 1] = entry[1]
    taken[#taken + 1] = at
    taken[#taken + 1] = packed
    left = left - 1
    room = room - #packed
  end
  return #entries
end

redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0')
while left > 0 and room > 0 do
  local count = math.min(left, STEP_ENTRIES)
  local claimed = redis.call('XAUTOCLAIM', stream, GROUP, TAKER, ARGV[3], '0-0', 'COUNT', count)
  if keep(claimed[2]) == 0 then break end
end
while left > 0 and room > 0 do
  local read = redis.call('XREADGROUP', 'GROUP', GROUP, TAKER, 'COUNT', math.min(left, STEP_ENTRIES), 'STREAMS', stream, '>')
  if not read or #read == 0 or keep(read[1][2]) == 0 then break end
end
return taken
