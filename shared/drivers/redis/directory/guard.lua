-- Part: put in front of the scripts that write an endpoint.
-- Each write: refused as 'lost' when the epoch is another, or the version lower, than what the caller has seen. What it
-- changed it announces in the same step; the last two of ARGV are the channel and the message.

local version = tonumber(knownVersion())
if redis.call('GET', KEYS[1]) ~= ARGV[1] or version < tonumber(ARGV[2]) then return 'lost' end
-- `id`: of the one endpoint that is changed; none when there are several.
local function raise(id)
  local before = version
  version = math.max(version + 1, math.floor(now))
  redis.call('SET', KEYS[2], string.format('%.0f', version))
  note_change(id, before, version)
  redis.call('PUBLISH', ARGV[#ARGV - 1], ARGV[#ARGV])
end
