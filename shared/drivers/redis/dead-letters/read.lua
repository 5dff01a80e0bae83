-- KEYS: root. ARGV: id. Returns JSON and packed envelope, or null.

local text = redis.call('HGET', KEYS[1] .. ':meta', ARGV[1])
if not text then return false end
return {text, redis.call('HGET', KEYS[1] .. ':bodies', ARGV[1])}
