-- KEYS: see cancelled-events.lua. ARGV: as there, then cancelled events of a tenant and of the shard at most.
-- Returns cancelled | begun | full-tenant | full.
-- Atomic: what begin-event has let go is never cancelled.

if is_cancelled then return 'cancelled' end
if now >= deliver_at or redis.call('EXISTS', KEYS[3]) == 1 then return 'begun' end
local of_tenant = number_or(0, redis.call('HGET', KEYS[2], ARGV[1]))
-- No tenant has more than there are: a count beyond that is none of ours.
if of_tenant > redis.call('ZCARD', KEYS[1]) then
  of_tenant = 0
  redis.call('HDEL', KEYS[2], ARGV[1])
end
if of_tenant >= tonumber(ARGV[5]) then return 'full-tenant' end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[6]) then return 'full' end
redis.call('ZADD', KEYS[1], string.format('%.0f', deliver_at + CANCELLED_KEPT_MS), member)
add_to(1, KEYS[2], ARGV[1])
return 'cancelled'
