-- KEYS: root. ARGV: tenant, id, endpoint, generation, attempt, acceptance. Returns 1 when the delivery is in a final state,
-- or has a result of this attempt or a later one, or when attempt is 0 and it is known; else 0.

local event = kept(ARGV[1], ARGV[2], 's')
if not event or tonumber(accepted_at(event[2]) or -1) ~= tonumber(ARGV[6]) then return 0 end
local value = redis.call('HGET', key_of('deliveries', ARGV[1], ARGV[2]), ARGV[3] .. '|' .. ARGV[4])
if not value then return 0 end
local state, last = string.match(value, '^(%S+) %d+ (%d+) ')
if not state then return 0 end
if FINAL[state] or tonumber(last) >= tonumber(ARGV[5]) then return 1 end
return 0
