-- KEYS and ARGV: see cancelled-events.lua. Returns cancelled | begun.
-- Atomic: what was cancelled never begins. By the time that the marker ends, cancel-event refuses by the clock.

if is_cancelled then return 'cancelled' end
local marked_ms = deliver_at + CLOCK_SLACK_MS - now
if marked_ms > 0 then redis.call('SET', KEYS[3], '1', 'PX', string.format('%.0f', marked_ms)) end
return 'begun'
