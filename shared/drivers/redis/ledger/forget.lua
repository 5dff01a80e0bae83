-- The append of these events failed: they are taken out, unless something was recorded of them since.
-- KEYS: root. ARGV: bytes per shard, then for each event tenant, id, acceptance. Returns how many went.

local count = 0
local function take_out(at)
  local event = load(ARGV[at], ARGV[at + 1])
  if event and event.a == tonumber(ARGV[at + 2]) and event.m < 0 and event.r == 0 and event.c == 0 then
    forget(event.name)
    count = count + 1
  end
end
for at = 2, #ARGV, 3 do pcall(take_out, at) end
finish(tonumber(ARGV[1]))
return count
