-- KEYS: 1 epoch, 2 version. Returns {epoch or nil, version}; version '0' when there is none.
-- ARGV: none.

return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) or '0'}
