-- KEYS: root. ARGV: as client/list.lua, then tenant or nothing, type or nothing, endpoint or nothing, state or nothing.
-- Row: {score, member, packed, fan-out, state}. With an endpoint, the events of which a delivery to it was recorded.
-- Returns nothing.

local of_tenant, wanted_type, endpoint, wanted_state = ARGV[8], ARGV[9], ARGV[10], ARGV[11]

local function row_of(score, member, tenant, id)
  local event = tenant and kept(tenant, id, 't', 'f')
  if not event or (wanted_type ~= '' and event[2] ~= wanted_type) then return nil end
  local state, looked_at = state_of(tenant, id, event[3])
  looked = looked + looked_at
  if wanted_state ~= '' and state ~= wanted_state then return nil end
  local body = redis.call('GET', key_of('body', tenant, id))
  if not body then return nil end
  return {score, member, body, event[3] or '', state}, #body
end

-- Generations of an event lie beside each other, for they have its acceptance and begin with its id.
local id_before = string.match(beyond, '^([^|]*)|')

local function of_endpoint(score, member)
  local id = string.match(member, '^([^|]*)|')
  if not id or id == id_before then return nil end
  id_before = id
  return row_of(score, member, of_tenant, id)
end

local high, low = bounds()
if endpoint ~= '' then
  scan(list_of('deliveries', of_tenant, endpoint), high, low, of_endpoint)
else
  scan(of_tenant == '' and root .. ':events' or root .. ':events:' .. of_tenant, high, low, function(score, member)
    local tenant, id = string.match(member, '^([^|]*)|(.*)$')
    return row_of(score, member, tenant, id)
  end)
end
return reply()
