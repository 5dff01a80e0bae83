-- KEYS: 1 record, 2 epoch of the shard, 3 mark of a loss. Returns {epoch or nil, mark or nil, JSON or nil, time of revocation or nil,
--       revision or nil}.
-- ARGV: none.

local record = redis.call('HMGET', KEYS[1], 'record', 'revokedAtMs', 'revision')
return {redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3]), record[1], record[2], record[3]}
