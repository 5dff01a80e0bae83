-- KEYS: as key-list. ARGV: 1 member, 2 time of revocation, 3 tenant or ''. An end that came before stays.
-- A revocation holds at once, though the gateway's clock may be ahead. Returns nothing.

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return end
local known = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or ARGV[2])
local ended = math.min(known, tonumber(ARGV[2]), now)
redis.call('ZADD', KEYS[2], ended, ARGV[1])
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[4], ended, ARGV[1] .. ':' .. ARGV[3]) end
