-- KEYS: 1 record. ARGV: 1 JSON, 2 time of revocation or '', 3 revision. Returns {JSON, time of revocation or nil, revision} that hold.
-- Atomic: writes what a process knows unless the record there is as new. A record without a revision has 0.

local found = redis.call('HMGET', KEYS[1], 'record', 'revision')
if not found[1] or number_or(-1, found[2] or 0) < tonumber(ARGV[3]) then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'record', ARGV[1], 'revision', ARGV[3])
  if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'revokedAtMs', ARGV[2]) end
end
return redis.call('HMGET', KEYS[1], 'record', 'revokedAtMs', 'revision')
