-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 changes, 5 highest forgotten version. ARGV: 1 endpoint id. Returns {epoch or nil, version, place and text or nil}.

return {redis.call('GET', KEYS[1]), knownVersion(), redis.call('HGET', KEYS[3], ARGV[1])}
