-- KEYS: 1 record. ARGV: 1 time. Returns {JSON, time of revocation}, or nil when there is no such key.
-- Atomic: of two revocations the first one's time stays.

if redis.call('HEXISTS', KEYS[1], 'record') == 0 then return false end
redis.call('HSETNX', KEYS[1], 'revokedAtMs', ARGV[1])
return redis.call('HMGET', KEYS[1], 'record', 'revokedAtMs')
