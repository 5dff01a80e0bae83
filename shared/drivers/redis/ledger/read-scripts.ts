/** The scripts that read the ledger. They change nothing; each looks at a bounded number of rows. */
import { LEDGER_NAMES_LUA } from "./lua.ts";
import { LIST_LUA } from "../client/list-lua.ts";
import type { RedisScript } from "../client/redis-commands.ts";

/** KEYS: root. ARGV: tenant, id. Returns packed envelope and JSON of the fan-out or nothing; null when it is not kept. */
export const READ_EVENT: RedisScript = {
  name: "ledger-read-event",
  returns: "bytes",
  lua: `${LEDGER_NAMES_LUA}
local event = kept(ARGV[1], ARGV[2], 'f')
local body = event and redis.call('GET', key_of('body', ARGV[1], ARGV[2]))
if not body then return false end
return {body, event[2] or ''}
`,
};

/**
 * KEYS: root. ARGV: tenant, id, endpoint, generation, attempt. Returns 1 when the delivery is in a final state, or has
 * a result of this attempt or a later one, or when attempt is 0 and it is known; else 0.
 */
export const READ_COMPLETED: RedisScript = {
  name: "ledger-read-completed",
  returns: "text",
  lua: `${LEDGER_NAMES_LUA}
if not kept(ARGV[1], ARGV[2]) then return 0 end
local value = redis.call('HGET', key_of('deliveries', ARGV[1], ARGV[2]), ARGV[3] .. '|' .. ARGV[4])
if not value then return 0 end
local state, last = string.match(value, '^(%S+) %d+ (%d+) ')
if FINAL[state] or tonumber(last) >= tonumber(ARGV[5]) then return 1 end
return 0
`,
};

/** KEYS: root. ARGV: as `LIST_LUA`, then tenant or nothing, type or nothing. Row: {score, member, packed, fan-out}. */
export const LIST_EVENTS: RedisScript = {
  name: "ledger-list-events",
  returns: "bytes",
  lua: `${LEDGER_NAMES_LUA}${LIST_LUA}
local wanted = ARGV[9]
local high, low = bounds()
walk(ARGV[8] == '' and root .. ':events' or root .. ':events:' .. ARGV[8], high, low, function(score, member)
  local tenant, id = string.match(member, '^([^|]*)|(.*)$')
  local event = kept(tenant, id, 't', 'f')
  if not event or (wanted ~= '' and event[2] ~= wanted) then return nil end
  local body = redis.call('GET', key_of('body', tenant, id))
  if not body then return nil end
  return {score, member, body, event[3] or ''}, #body
end)
return reply()
`,
};

/**
 * Deliveries or attempts of one event, or of one endpoint when no event is named.
 * KEYS: root. ARGV: as `LIST_LUA`, then `deliveries` or `attempts`, tenant, event id or nothing, endpoint or nothing,
 * state or nothing. Row: {score, member, event id, endpoint, generation, acceptance, value}, and for attempts the number.
 */
export const LIST_DELIVERIES: RedisScript = {
  name: "ledger-list-deliveries",
  returns: "text",
  lua: `${LEDGER_NAMES_LUA}${LIST_LUA}
local what, tenant, only_id, only_endpoint, wanted = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]

local function row_of(score, member, id, endpoint, generation, attempt)
  if only_endpoint ~= '' and endpoint ~= only_endpoint then return nil end
  local event = kept(tenant, id, 's')
  local accepted = event and accepted_at(event[2])
  if not event or not is_within(accepted) then return nil end
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
  walk(list_of(what, tenant, only_endpoint), high, low, of_endpoint)
elseif what == 'attempts' then
  walk(key_of('times', tenant, only_id), '+inf', '-inf', of_event)
else
  local event = kept(tenant, only_id, 's')
  local accepted = event and accepted_at(event[2])
  local members = redis.call('HKEYS', key_of('deliveries', tenant, only_id))
  table.sort(members, function(left, right) return left > right end)
  for _, member in ipairs(event and members or {}) do
    if not is_behind(accepted, member) and not look(accepted, member, of_event) then break end
  end
end
return reply()
`,
};
