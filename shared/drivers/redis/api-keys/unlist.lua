-- KEYS: as key-list. ARGV: 1 member, 2 tenant or ''. Takes it out of all four.
-- Returns nothing.

for index = 1, 3 do redis.call('ZREM', KEYS[index], ARGV[1]) end
redis.call('ZREM', KEYS[4], ARGV[1] .. ':' .. ARGV[2])
