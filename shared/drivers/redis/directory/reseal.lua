-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 changes, 5 highest forgotten version. ARGV: 1 epoch, 2 version, then endpoint id, place and text as
-- they were read, and the new ones of the same place, in turn; the last two are the announcement.
-- Returns 'lost', or how many were written; those that were changed meanwhile, or are gone, are left as they are.
-- Atomic: writes only over the bytes that were read, and raises the version once with it.

local written = 0
for index = 3, #ARGV - 4, 3 do
  if redis.call('HGET', KEYS[3], ARGV[index]) == ARGV[index + 1] then
    redis.call('HSET', KEYS[3], ARGV[index], ARGV[index + 2])
    written = written + 1
  end
end
if written > 0 then raise() end
return tostring(written)
