/**
 * Lua that the scripts of the ledger share. KEYS[1] is the root of one shard; every other name begins with it and so
 * lies in its slot:
 *
 *   :event:<tenant>:<id>          hash, see `fields`; stays until it is trimmed, for it knows its bytes
 *   :body:<tenant>:<id>           the packed envelope
 *   :deliveries:<tenant>:<id>     hash, <endpoint>|<generation> -> <state> <attempts> <last> <claim> <JSON>
 *   :attempts:<tenant>:<id>       hash, <endpoint>|<generation>|<attempt> -> JSON
 *   :times:<tenant>:<id>          sorted set, the fields of the attempts by their time
 *   :to:<tenant>:<endpoint>:deliveries   sorted set, <id>|<generation> by the event's acceptance
 *   :to:<tenant>:<endpoint>:attempts     sorted set, <id>|<generation>|<attempt> by time
 *   :events, :events:<tenant>     sorted sets, <tenant>|<id> by acceptance
 *   :due                          sorted set, <tenant>|<id> by the time from which the event is gone
 *   :bytes                        what all events of the shard weigh
 *
 * Tenants, event ids and endpoint ids hold neither `|` nor `:`. `last` is the highest attempt that has a result;
 * `claim` is what the delivery asks of its event: `o` an attempt to come, `h` held back, `-` nothing more.
 */
import { DELIVERY_STATES, HELD_STATES, isFinal } from "../../domain/delivery.ts";
import { EVENTS_KEPT_MS, EXPIRY_SLACK_MS, HELD_KEPT_MS, OPEN_KEPT_MS } from "./ledger-bounds.ts";

const luaSet = (states: readonly string[]): string => `{${states.map((state) => `${state} = true`).join(", ")}}`;

/** Names, and the facts of one event that is kept. */
export const LEDGER_NAMES_LUA = `
local root = KEYS[1]
local FINAL = ${luaSet(DELIVERY_STATES.filter(isFinal))}
local HELD = ${luaSet(HELD_STATES)}

local function key_of(what, tenant, id)
  return root .. ':' .. what .. ':' .. tenant .. ':' .. id
end
local function list_of(what, tenant, endpoint)
  return root .. ':to:' .. tenant .. ':' .. endpoint .. ':' .. what
end
-- The chosen fields behind the time from which the event is gone; nil when it is gone already.
local function kept(tenant, id, ...)
  local found = redis.call('HMGET', key_of('event', tenant, id), 'x', ...)
  if not found[1] or tonumber(found[1]) <= now then return nil end
  return found
end
`;

/**
 * Events in hand: `load` reads one, `save_all` writes those that changed, `forget` takes one out with all that belongs
 * to it. A script ends with `finish`, which keeps the shard within its bytes.
 */
export const LEDGER_EVENTS_LUA = `
${LEDGER_NAMES_LUA}
-- a acceptance, d latest planned time, u last news, g kept until at least, o and h deliveries with that claim,
-- n deliveries of generation 0, m how many the fan-out matched (-1 unknown), b bytes, x gone from
local fields = {'a', 'd', 'u', 'g', 'o', 'h', 'n', 'm', 'b', 'x'}
local EVENT_BYTES, EVICTED_MAX, TRIMMED_ROWS_MAX = 512, 10000, 2000
local events, grown = {}, 0

local function load(tenant, id)
  local name = tenant .. '|' .. id
  local event = events[name]
  if event ~= nil then return event end
  event = false
  local found = redis.call('HMGET', key_of('event', tenant, id), unpack(fields))
  if found[1] and tonumber(found[10]) > now then
    event = {tenant = tenant, id = id, name = name}
    for index, field in ipairs(fields) do event[field] = tonumber(found[index]) end
  end
  events[name] = event
  return event
end

local function gone_from(event)
  if event.h > 0 then return math.max(event.u, event.d) + ${HELD_KEPT_MS} end
  local owed = event.m
  if owed < 0 then owed = 1 end
  if event.o > 0 or event.n < owed then return math.max(event.u, event.d) + ${OPEN_KEPT_MS} end
  return math.max(event.u + ${EVENTS_KEPT_MS}, event.g)
end

local function weigh(event, bytes)
  event.b = event.b + bytes
  grown = grown + bytes
end

local function save(event)
  event.x = gone_from(event)
  local values = {}
  for _, field in ipairs(fields) do
    values[#values + 1] = field
    values[#values + 1] = string.format('%.0f', event[field])
  end
  redis.call('HSET', key_of('event', event.tenant, event.id), unpack(values))
  redis.call('ZADD', root .. ':due', event.x, event.name)
  local left = string.format('%.0f', math.max(1, event.x - now + ${EXPIRY_SLACK_MS}))
  for _, what in ipairs({'body', 'deliveries', 'attempts', 'times'}) do
    redis.call('PEXPIRE', key_of(what, event.tenant, event.id), left)
  end
end

local function save_all()
  for _, event in pairs(events) do
    if event and event.changed then save(event) end
  end
end

-- Returns how many rows went, the event's own included.
local function forget(name)
  local tenant, id = string.match(name, '^([^|]*)|(.*)$')
  local rows = 1
  local bytes = events[name] and events[name].b or redis.call('HGET', key_of('event', tenant, id), 'b')
  for _, what in ipairs({'deliveries', 'attempts'}) do
    for _, field in ipairs(redis.call('HKEYS', key_of(what, tenant, id))) do
      local endpoint, rest = string.match(field, '^([^|]*)|(.*)$')
      redis.call('ZREM', list_of(what, tenant, endpoint), id .. '|' .. rest)
      rows = rows + 1
    end
    redis.call('DEL', key_of(what, tenant, id))
  end
  redis.call('DEL', key_of('event', tenant, id), key_of('body', tenant, id), key_of('times', tenant, id))
  redis.call('ZREM', root .. ':events', name)
  redis.call('ZREM', root .. ':events:' .. tenant, name)
  redis.call('ZREM', root .. ':due', name)
  grown = grown - (tonumber(bytes) or 0)
  events[name] = false
  return rows
end

-- Takes out up to count events whose time has come; one event at least goes whole.
local function trim(count)
  local rows = 0
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', root .. ':due', '-inf', now, 'LIMIT', 0, count)) do
    if rows >= TRIMMED_ROWS_MAX then return end
    rows = rows + forget(name)
  end
end

local function finish(bytes_max)
  save_all()
  local bytes = redis.call('INCRBY', root .. ':bytes', string.format('%.0f', grown))
  local before = grown
  for _ = 1, EVICTED_MAX do
    if bytes + grown - before <= bytes_max then break end
    local first = redis.call('ZRANGE', root .. ':due', 0, 0)[1]
    if not first then break end
    forget(first)
  end
  if grown ~= before then redis.call('INCRBY', root .. ':bytes', string.format('%.0f', grown - before)) end
end
`;
