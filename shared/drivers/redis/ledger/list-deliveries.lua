-- Deliveries or attempts of one event, or of one endpoint when no event is named.
-- KEYS: root. ARGV: as client/list.lua, then `deliveries` or `attempts`, tenant, event id or nothing, endpoint or nothing,
-- state or nothing, and for attempts outcome or nothing, result or nothing. Row: {score, member, event id, endpoint,
-- generation, acceptance, value}, and for attempts the number and `<state> <attempts>` of the delivery.
-- Returns nothing.

local what, tenant, only_id, only_endpoint, wanted = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local wanted_outcome, wanted_result = ARGV[13], ARGV[14]

-- As `domain/outcome.ts` decides; `4xx` or the fault is the result.
local function is_asked_for(json, attempt, state, attempts)
  local is_json, stored = pcall(cjson.decode, json)
  local result = is_json and type(stored) == 'table' and stored.result
  if type(result) ~= 'table' then return false end
  local status = tonumber(result.status)
  local outcome = 'retry'
  if status and status >= 200 and status <= 299 then
    outcome = 'delivered'
  elseif (state == 'dead' or state == 'expired') and tonumber(attempt) >= tonumber(attempts) then
    outcome = 'dead'
  end
  local kind = status and string.format('%.0fxx', math.floor(status / 100)) or result.fault
  return (wanted_outcome == '' or wanted_outcome == outcome or (wanted_outcome == 'failed' and outcome ~= 'delivered'))
    and (wanted_result == '' or wanted_result == kind)
end

local function row_of(score, member, id, endpoint, generation, attempt)
  if not id or not endpoint then return nil end
  if only_endpoint ~= '' and endpoint ~= only_endpoint then return nil end
  local event = kept(tenant, id, 's')
  local accepted = event and accepted_at(event[2])
  if not accepted or not is_within(accepted) then return nil end
  local value = redis.call('HGET', key_of('deliveries', tenant, id), endpoint .. '|' .. generation)
  local state, attempts = string.match(value or '', '^(%S+) (%d+) ')
  if not state or (wanted ~= '' and state ~= wanted) then return nil end
  if what == 'deliveries' then return {score, member, id, endpoint, generation, accepted, value}, #value end
  value = redis.call('HGET', key_of('attempts', tenant, id), endpoint .. '|' .. generation .. '|' .. attempt)
  if not value then return nil end
  if (wanted_outcome ~= '' or wanted_result ~= '') and not is_asked_for(value, attempt, state, attempts) then
    return nil
  end
  return {score, member, id, endpoint, generation, accepted, value, attempt, state .. ' ' .. attempts}, #value
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

-- Where the sorted set has not all: it begins with an event's second attempt, and another release may have written that one alone.
-- All of them are read for it, so beyond so many what the set has must do.
local OWN_TIMES_MAX = 100
local function look_by_their_own_times(attempts)
  local found, places = redis.call('HGETALL', attempts), {}
  for index = 1, #found, 2 do
    places[#places + 1] = {attempted_at(found[index + 1]), found[index]}
  end
  table.sort(places, function(left, right)
    if left[1] ~= right[1] then return tonumber(left[1]) > tonumber(right[1]) end
    return left[2] > right[2]
  end)
  for _, place in ipairs(places) do
    if not is_behind(place[1], place[2]) and not look(place[1], place[2], of_event) then return end
  end
end

if only_id == '' then
  local high, low = '+inf', '-inf'
  if what == 'deliveries' then high, low = bounds() end
  scan(list_of(what, tenant, only_endpoint), high, low, of_endpoint)
elseif what == 'attempts' then
  local times, attempts = key_of('times', tenant, only_id), key_of('attempts', tenant, only_id)
  local listed, made = redis.pcall('ZCARD', times), redis.call('HLEN', attempts)
  if made <= OWN_TIMES_MAX and (type(listed) ~= 'number' or listed < made) then
    look_by_their_own_times(attempts)
  else
    scan(times, '+inf', '-inf', of_event)
  end
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
