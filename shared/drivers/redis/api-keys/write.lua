-- KEYS: 1 record. ARGV: 1 JSON, 2 time of revocation or '', 3 highest revision that the caller has seen.
-- Returns the new revision, above all that were seen. Atomic: replaces the record entirely.

local revision = math.max(number_or(0, redis.call('HGET', KEYS[1], 'revision')), tonumber(ARGV[3])) + 1
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'revision', revision)
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'revokedAtMs', ARGV[2]) end
return tostring(revision)
