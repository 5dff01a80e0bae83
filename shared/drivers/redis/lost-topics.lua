-- KEYS[1] hash of topics, with the epoch ms of when each was missed
-- ARGV    `note`, topic, most of them; `done`, topic; or `list`
-- Returns for `list` one flat list of topics and times, else nothing. A topic that is noted already keeps its first time.

local noted = KEYS[1]
if ARGV[1] == "list" then return redis.call("HGETALL", noted) end
if ARGV[1] == "done" then
  redis.call("HDEL", noted, ARGV[2])
elseif redis.call("HLEN", noted) < tonumber(ARGV[3]) then
  redis.call("HSETNX", noted, ARGV[2], string.format("%.0f", now))
end
return {}
