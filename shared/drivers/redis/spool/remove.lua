-- KEYS stream, bytes. ARGV id and size of each entry.
-- Returns how many were removed.
-- Atomic: what was removed before counts nothing again.

local stream, tally = unpack(KEYS)
local removed, freed = 0, 0
for at = 1, #ARGV, 2 do
  redis.call('XACK', stream, GROUP, ARGV[at])
  if redis.call('XDEL', stream, ARGV[at]) == 1 then
    removed = removed + 1
    freed = freed + tonumber(ARGV[at + 1])
  end
end
if redis.call('XLEN', stream) == 0 then
  redis.call('DEL', tally)
elseif freed > 0 and add_to(-freed, tally) < 0 then
  redis.call('SET', tally, 0)
end
return removed
