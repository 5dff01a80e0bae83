-- KEYS: 1 epoch, 2 version, 3 highest forgotten version. Returns {epoch or nil, version}; version '0' when there is none.
-- ARGV: none.

return {redis.call('GET', KEYS[1]), knownVersion()}
