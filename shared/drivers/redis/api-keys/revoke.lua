-- KEYS: 1 record. ARGV: 1 time, 2 highest revision that the caller has seen.
-- Returns {JSON, time of revocation, revision}, or nil when there is no such key.
-- Atomic: of two revocations the first one's time stays.

if redis.call('HEXISTS', KEYS[1], 'record') == 0 then return false end
if redis.call('HSETNX', KEYS[1], 'revokedAtMs', ARGV[1]) == 1 then
  local revision = math.max(number_or(0, redis.call('HGET', KEYS[1], 'revision')), tonumber(ARGV[2])) + 1
  redis.call('HSET', KEYS[1], 'revision', revision)
end
return redis.call('HMGET', KEYS[1], 'record', 'revokedAtMs', 'revision')
