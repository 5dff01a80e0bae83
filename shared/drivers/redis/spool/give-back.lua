-- KEYS stream. ARGV ms of silence that they have from now on, then ids.
-- Returns how many are there for the next who takes.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local claim = {'XCLAIM', KEYS[1], GROUP, TAKER, 0}
for at = 2, #ARGV do claim[#claim + 1] = ARGV[at] end
for _, word in ipairs({'IDLE', ARGV[1], 'JUSTID'}) do claim[#claim + 1] = word end
local claimed = redis.pcall(unpack(claim))
-- Emptied, and begun anew with what nobody has taken yet: the group is made by the first who takes.
if claimed.err and string.find(claimed.err, 'NOGROUP', 1, true) then return 0 end
if claimed.err then return claimed end
return #claimed
