-- KEYS: 1 epoch, 2 version, 3 endpoints. ARGV: 1 endpoint id. Returns {epoch or nil, version, place and text or nil}.

return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) or '0', redis.call('HGET', KEYS[3], ARGV[1])}
