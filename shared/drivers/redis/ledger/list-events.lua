-- KEYS: root. ARGV: as client/list.lua, then tenant or nothing, type or nothing. Row: {score, member, packed, fan-out}.
-- Returns nothing.

local wanted = ARGV[9]
local high, low = bounds()
scan(ARGV[8] == '' and root .. ':events' or root .. ':events:' .. ARGV[8], high, low, function(score, member)
  local tenant, id = string.match(member, '^([^|]*)|(.*)$')
  local event = tenant and kept(tenant, id, 't', 'f')
  if not event or (wanted ~= '' and event[2] ~= wanted) then return nil end
  local body = redis.call('GET', key_of('body', tenant, id))
  if not body then return nil end
  return {score, member, body, event[3] or ''}, #body
end)
return reply()
