-- KEYS: 1 mark of a loss. ARGV: 1 how long it stays, in ms.
-- Returns nothing.

redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
