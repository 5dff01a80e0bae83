-- KEYS: 1 record. ARGV: 1 JSON, 2 time of revocation or ''. Atomic: replaces the record entirely.
-- Returns nothing.

redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'record', ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'revokedAtMs', ARGV[2]) end
