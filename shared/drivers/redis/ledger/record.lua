-- Records fan-outs, deliveries and attempts, in order. An entry about an event that is not kept changes nothing.
-- KEYS: root. ARGV: bytes per shard, deliveries per event, deliveries per endpoint, attempts per endpoint, then for each
-- entry `f`, tenant, id, time, matched count, JSON, or `d`, tenant, id, endpoint, generation, state, attempt, time, next
-- time or 0, JSON of the delivery, JSON of the attempt or nothing. `l` is a `d` that comes late: what was recorded after
-- it may stand already. Returns the ordinals, from 1, of those that found no event.

local bytes_max, of_event_max = tonumber(ARGV[1]), tonumber(ARGV[2])
local of_endpoint_max = {deliveries = tonumber(ARGV[3]), attempts = tonumber(ARGV[4])}
local DELIVERY_BYTES, ATTEMPT_BYTES = 640, 640
-- What is put into the lists of endpoints: scores and members by key, and how many a list keeps.
local listed, kept_in_list = {}, {}

local function list(what, event, endpoint, score, rest)
  local key = list_of(what, event.tenant, endpoint)
  local rows = listed[key] or {}
  rows[#rows + 1] = score
  rows[#rows + 1] = event.id .. '|' .. rest
  listed[key], kept_in_list[key] = rows, of_endpoint_max[what]
end

local function claim_of(state)
  if HELD[state] then return 'h' end
  if FINAL[state] then return '-' end
  return 'o'
end

local function count(event, claim, by)
  if claim ~= '-' then event[claim] = event[claim] + by end
end

local function time_in(json)
  return number_or(0, string.match(json, '"updatedAtMs":(%d+)'))
end

-- The first word of a replay, which names its generation by its time. Whatever else is recorded in that generation came after it,
-- however late either comes, and whatever the clocks of gateway and processor show: a gateway whose Redis hung for a moment is
-- overtaken by the processor that made the attempt.
local function is_beginning(state, attempt, time, generation)
  return state == 'pending' and attempt == 0 and time > 0 and time == tonumber(generation)
end

-- Whether what stands is news of the same attempt from after this late entry. Of the same ms, only the first state is older. An end
-- is asked by nobody: nothing comes after it, whatever the clocks of those who wrote the two show.
local function is_outdated(state, time, old_json)
  local standing = time_in(old_json)
  return time < standing or (time == standing and state == 'pending')
end

-- The times of a delivery are added up over its records: what passed from the one before to when it was taken again counts
-- as what it waited for. One that was taken before that, such as the same record again, adds nothing; without the times of
-- the one before nobody knows them.
local TIMES = '"times":%[(%d+),(%d+),(%d+),(%d+)%]'
local SCHEDULED = set_of(SCHEDULE_WAITS)

local function times_after(json, old_json)
  local lane, limiter, deferred, retry = string.match(old_json, TIMES)
  if not lane then return 'null' end
  local _, more = string.match(json, TIMES)
  local taken = number_or(-1, string.match(json, '"takenAtMs":(%d+)'))
  local waited = taken - number_or(0, string.match(old_json, '"updatedAtMs":(%d+)'))
  if more and waited >= 0 then
    local is_scheduled = SCHEDULED[string.match(old_json, '"wait":"([%l-]+)"') or '']
    limiter = limiter + more
    if is_scheduled then retry = retry + waited else deferred = deferred + waited end
  end
  return string.format('[%.0f,%.0f,%.0f,%.0f]', lane, limiter, deferred, retry)
end

local function with_times(json, old_json)
  local start, stop = string.find(json, '"times":[^"]*')
  if not start then return json end
  return string.sub(json, 1, start + 7) .. times_after(json, old_json) .. ',' .. string.sub(json, stop + 1)
end

local function record_fan_out(event, at)
  local json = ARGV[at + 5]
  local before = 0
  if event.fan_out then
    before = #event.fan_out
  elseif event.m >= 0 then
    before = redis.call('HSTRLEN', key_of('event', event.tenant, event.id), 'f')
  end
  weigh(event, #json - before)
  event.fan_out = json
  event.m = tonumber(ARGV[at + 4])
  event.u = math.max(event.u, tonumber(ARGV[at + 3]))
  event.changed = true
end

-- From an event's second attempt on, with which the first is put beside it.
local function keep_time(event, attempts, field, time)
  local times = key_of('times', event.tenant, event.id)
  if event.c == 2 then
    local both = redis.call('HGETALL', attempts)
    for index = 1, #both, 2 do redis.call('ZADD', times, attempted_at(both[index + 1]), both[index]) end
  end
  redis.call('ZADD', times, time, field)
end

local function record_attempt(event, endpoint, rest, time, json, is_new)
  local key, field = key_of('attempts', event.tenant, event.id), endpoint .. '|' .. rest
  local before = is_new and 0 or redis.call('HSTRLEN', key, field)
  if before == 0 then
    before = -ATTEMPT_BYTES
    if event.c == 0 then event.is_first_attempt = true end
    event.c = event.c + 1
  end
  weigh(event, #json - before)
  redis.call('HSET', key, field, json)
  if event.c > 1 then keep_time(event, key, field, time) end
  list('attempts', event, endpoint, time, rest)
end

local function record_delivery(event, at)
  local endpoint, generation, state, json = ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 9]
  local attempt, time, attempt_json = tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]), ARGV[at + 10]
  local field = endpoint .. '|' .. generation
  local deliveries = key_of('deliveries', event.tenant, event.id)
  local number = attempt
  local last, claim, before = 0, '-', -DELIVERY_BYTES
  local is_taken = true
  local old = event.r > 0 and redis.call('HGET', deliveries, field)
  if old then
    local old_state, old_attempts, old_last, old_claim, old_json = string.match(old, '^(%S+) (%d+) (%d+) (%S) (.*)$')
    before = #old
    if old_state then last, claim = tonumber(old_last), old_claim end
    is_taken = not old_state or attempt >= tonumber(old_attempts)
      and not is_beginning(state, attempt, time, generation)
      and (not FINAL[old_state] or (old_state == 'dead' and state == 'expired')
        or (state == 'delivered' and (old_state == 'dead' or old_state == 'expired')))
      and (state ~= 'pending' or old_state == 'pending' or HELD[old_state] == true)
      and (ARGV[at] ~= 'l' or FINAL[state] or attempt > tonumber(old_attempts)
        or is_beginning(old_state, tonumber(old_attempts), time_in(old_json), generation)
        or not is_outdated(state, time, old_json))
    if is_taken then
      json = with_times(json, old_json or '')
    else
      state, attempt, json = old_state, tonumber(old_attempts), old_json
    end
  else
    if event.r >= of_event_max then return end
    event.r = event.r + 1
    if generation == '0' then event.n = event.n + 1 end
    list('deliveries', event, endpoint, event.a, generation)
  end
  if attempt_json ~= '' and number >= 1 and number <= ATTEMPTS_MAX then
    record_attempt(event, endpoint, generation .. '|' .. number, time, attempt_json, number > last)
    last = math.max(last, number)
  end
  if is_taken then
    count(event, claim, -1)
    claim = claim_of(state)
    count(event, claim, 1)
    event.u = math.max(event.u, time)
    event.d = math.max(event.d, tonumber(ARGV[at + 8]))
  end
  local value = state .. ' ' .. attempt .. ' ' .. last .. ' ' .. claim .. ' ' .. json
  weigh(event, #value - before)
  redis.call('HSET', deliveries, field, value)
  event.changed = true
end

local function record(at, entry)
  local event = load(ARGV[at + 1], ARGV[at + 2])
  if event then entry(event, at) end
  return event
end

local at, ordinal, unmet = 5, 0, {}
trim(math.ceil(#ARGV / 6) + 20)
while at <= #ARGV do
  ordinal = ordinal + 1
  local is_fan_out = ARGV[at] == 'f'
  local is_fine, event = pcall(record, at, is_fan_out and record_fan_out or record_delivery)
  if is_fine and not event then unmet[#unmet + 1] = ordinal end
  if not is_fine then give_up(ARGV[at + 1], ARGV[at + 2]) end
  at = at + (is_fan_out and 6 or 11)
end
for key, rows in pairs(listed) do
  -- A key of another type costs this list alone.
  if pcall(call_in_parts, 'ZADD', key, rows) then
    redis.call('ZREMRANGEBYRANK', key, 0, -(kept_in_list[key] + 1))
    redis.call('PEXPIRE', key, string.format('%.0f', LIST_KEPT_MS))
  end
end
finish(bytes_max)
return unmet
