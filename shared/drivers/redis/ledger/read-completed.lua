-- KEYS: root. ARGV: for each delivery tenant, id, endpoint, generation, attempt, acceptance. Returns for each 1 when it is in a final
-- state, or has a result of this attempt or a later one, or when attempt is 0 and it is known; -1 when its keys hold something else
-- than ours; else 0.

local function is_completed(at)
  local event = kept(ARGV[at], ARGV[at + 1], 's')
  if not event or tonumber(accepted_at(event[2]) or -1) ~= tonumber(ARGV[at + 5]) then return 0 end
  local value = redis.call('HGET', key_of('deliveries', ARGV[at], ARGV[at + 1]), ARGV[at + 2] .. '|' .. ARGV[at + 3])
  if not value then return 0 end
  local state, last = string.match(value, '^(%S+) %d+ (%d+) ')
  if not state then return 0 end
  if FINAL[state] or tonumber(last) >= tonumber(ARGV[at + 4]) then return 1 end
  return 0
end

local answers = {}
for at = 1, #ARGV, 6 do
  local is_fine, answer = pcall(is_completed, at)
  answers[#answers + 1] = is_fine and answer or -1
end
return answers
