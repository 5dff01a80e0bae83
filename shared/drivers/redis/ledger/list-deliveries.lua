-- Deliveries or attempts of one event, or of one endpoint when no event is named.
-- KEYS: root. ARGV: as client/list.lua, then `deliveries` or `attempts`, tenant, event id or nothing, endpoint or nothing,
-- state or nothing. Row: {score, member, event id, endpoint, generation, acceptance, value}, and for attempts the number.
-- Returns nothing.

local what, tenant, only_id, only_endpoint, wanted = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]

local function row_of(score, member, id, endpoint, generation, attempt)
  if not id or not endpoint then return nil end
  if only_endpoint ~= '' and endpoint ~= only_endpoint then return nil end
  local event = kept(tenant, id, 's')
  local accepted = event and accepted_at(event[2])
  if not accepted or not is_within(accepted) then return nil end
  local value
  if wanted ~= '' or what == 'deliveries' then
    value = redis.call('HGET', key_of('deliveries', tenant, id), endpoint .. '|' .. generation)
    if not value or (wanted ~= '' and string.match(value, '^(%S+) ') ~= wanted) then return nil end
  end
  if what == 'attempts' then
    value = redis.call('HGET', key_of('attempts', tenant, id), endpoint .. '|' .. generation .. '|' .. attempt)
    if not value then return nil end
  end
  return {score, member, id, endpoint, generation, accepted, value, attempt}, #value
end

-- Members are <id>|<rest> in an endpoint's list and <endpoint>|<rest> in an event's.
local function of_endpoint(score, member)
  local id, generation, attempt = string.match(member, '^([^|]*)|(%d+)|?(%d*)$')
  return row_of(score, member, id, only_endpoint, generation, attempt)
end
local function of_event(score, member)
  local endpoint, generation, attempt = string.match(member, '^([^|]*)|(%d+)|?(%d*)$')
  return row_of(score, member, only_id, endpoint, generation, attempt)
end

if only_id == '' then
  local high, low = '+inf', '-inf'
  if what == 'deliveries' then high, low = bounds() end
  scan(list_of(what, tenant, only_endpoint), high, low, of_endpoint)
elseif what == 'attempts' then
  scan(key_of('times', tenant, only_id), '+inf', '-inf', of_event)
else
  local event = kept(tenant, only_id, 's')
  local accepted = event and accepted_at(event[2])
  local members = redis.call('HKEYS', key_of('deliveries', tenant, only_id))
  table.sort(members, function(left, right) return left > right end)
  for _, member in ipairs(accepted and members or {}) do
    if not is_behind(accepted, member) and not look(accepted, member, of_event) then break end
  end
end
return reply()
