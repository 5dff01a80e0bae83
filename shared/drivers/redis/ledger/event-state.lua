-- Part: put after names.lua. The state of an event, as `domain/event-state.ts` decides it; a test holds the two together.

-- The fan-out's JSON as a table; nil when there is none that reads.
local function fan_out_of(json)
  local is_json, fan_out = pcall(cjson.decode, json or '')
  if not is_json or type(fan_out) ~= 'table' or type(fan_out.matched) ~= 'table' then return nil end
  return tonumber(fan_out.matchedCount) and fan_out or nil
end

-- Of each endpoint of which a delivery was recorded: the state and generation that count, {} when all are filtered.
local function standings(fields)
  local best = {}
  for index = 1, #fields, 2 do
    local endpoint, generation = string.match(fields[index], '^([^|]*)|(%d+)$')
    local state = string.match(fields[index + 1], '^(%S+) ')
    if endpoint and state then
      local old = best[endpoint] or {}
      generation = tonumber(generation)
      if state ~= 'filtered' and (not old.state or (old.state ~= 'delivered'
        and (state == 'delivered' or generation > old.generation))) then
        old = {state = state, generation = generation}
      end
      best[endpoint] = old
    end
  end
  return best
end

local function is_owed(fan_out, best)
  local unlisted, listed, is_listed = 0, 0, {}
  for _, endpoint in ipairs(fan_out.matched) do
    if not best[endpoint] then return true end
    if not is_listed[endpoint] then listed = listed + 1 end
    is_listed[endpoint] = true
  end
  for endpoint in pairs(best) do
    if not is_listed[endpoint] then unlisted = unlisted + 1 end
  end
  return unlisted < tonumber(fan_out.matchedCount) - listed
end

-- The state, and how many deliveries were looked at.
local function state_of(tenant, id, json)
  local fan_out = fan_out_of(json)
  local fields = redis.call('HGETALL', key_of('deliveries', tenant, id))
  local looked_at = #fields / 2
  local best = standings(fields)
  local unknown = best[UNKNOWN_ENDPOINT]
  best[UNKNOWN_ENDPOINT] = nil
  if not fan_out and not next(best) then best[UNKNOWN_ENDPOINT] = unknown end
  if fan_out and is_owed(fan_out, best) then return 'pending', looked_at end
  local delivered, missed = 0, 0
  for _, standing in pairs(best) do
    if standing.state and not FINAL[standing.state] then return 'pending', looked_at end
    if standing.state == 'delivered' then delivered = delivered + 1 elseif standing.state then missed = missed + 1 end
  end
  if delivered + missed == 0 then
    if not fan_out then return 'pending', looked_at end
    return fan_out.isCancelled == true and 'cancelled' or 'filtered', looked_at
  end
  if missed == 0 then return 'delivered', looked_at end
  return delivered == 0 and 'dead' or 'partial', looked_at
end
