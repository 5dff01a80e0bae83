-- KEYS: as key-list. ARGV: 1 member. Takes it out of all three.
-- Returns nothing.

for index = 1, 3 do redis.call('ZREM', KEYS[index], ARGV[1]) end
