-- KEYS[1] the claim: see claims-scripts.ts
-- KEYS[2] what the claims of the tenant weigh; KEYS[3] those of the shard: see claim-weight.lua
-- KEYS[4] only for an event's own id: the event's record, a hash whose field `x` is the time from which it is gone
-- ARGV    fingerprint, ids as JSON, time of the acceptance, bytes of a tenant and of the shard at most, any | standing: one that is made
--         anew as well, or one that stands for the same request alone
-- Returns {"claimed", ids as JSON, time of the acceptance, retake 0 or 1} | {"answered", status, body} | {"in-flight", ms} | {"mismatch"}
-- | {"unclaimed"} | {"full-tenant"} | {"full"}
-- Atomic: of calls at the same time one holds the lease. An id whose event is kept is never free: where its claim is
-- cleaned away, nobody knows the event's body any more, and the call is a mismatch. A claim that was given up, its lease
-- 0 and without an answer, is free for another request, whose time is later than that of the one given up. A claim that
-- stands is never refused; one that is taken for another request is weighed as a new one, and its old weight is taken back.
-- Taken again it lives on as if it were new, and so its weight moves on to this hour.

local claim = KEYS[1]
local found = redis.call("HMGET", claim, "fingerprint", "ids", "lease", "status", "body", "expires", "at")
local is_kept = KEYS[4] ~= nil and number_or(0, redis.call("HGET", KEYS[4], "x")) > now
-- A claim that does not read back is none: whoever comes takes it.
local function reads_back()
  local is_json, ids = pcall(cjson.decode, found[2] or "")
  local status = number_or(0, found[4] or 200)
  return is_json and type(ids) == "table" and type(ids[1]) == "string" and number_or(nil, found[3])
    and number_or(nil, found[6]) and status >= 200 and status <= 599 and (found[5] or not found[4])
end
if found[1] and not reads_back() then
  redis.call("DEL", claim)
  found = {}
end

local function hold()
  redis.call("HSET", claim, "lease", now + CLAIM_LEASE_MS, "expires", now + CLAIM_KEPT_MS)
  redis.call("PEXPIRE", claim, CLAIM_KEPT_MS + RECORD_SLACK_MS)
end

local bytes = CLAIM_BYTES + #claim + #ARGV[1] + #ARGV[2]
local held = 0
if found[1] then held = CLAIM_BYTES + #claim + #found[1] + #found[2] end

-- What a claim takes is weighed in the hour from which it is kept.
local function reweigh()
  for _, key in ipairs({KEYS[2], KEYS[3]}) do
    unweigh(key, number_or(0, found[6]) - CLAIM_KEPT_MS, held)
    weigh(key, bytes)
  end
end

if not found[1] and is_kept then return {"mismatch"} end
if not found[1] or (number_or(0, found[6]) <= now and not is_kept) then
  if ARGV[6] == "standing" then return {"unclaimed"} end
  if is_full(KEYS[2], bytes, tonumber(ARGV[4])) then return {"full-tenant"} end
  if is_full(KEYS[3], bytes, tonumber(ARGV[5])) then return {"full"} end
  weigh(KEYS[2], bytes)
  weigh(KEYS[3], bytes)
  redis.call("DEL", claim)
  redis.call("HSET", claim, "fingerprint", ARGV[1], "ids", ARGV[2], "at", ARGV[3])
  hold()
  return {"claimed", ARGV[2], ARGV[3], 0}
end
local is_given_up = not found[4] and number_or(0, found[3]) == 0
if found[1] ~= ARGV[1] and is_given_up and not is_kept then
  if ARGV[6] == "standing" then return {"unclaimed"} end
  if is_full(KEYS[2], bytes - held, tonumber(ARGV[4])) then return {"full-tenant"} end
  if is_full(KEYS[3], bytes - held, tonumber(ARGV[5])) then return {"full"} end
  reweigh()
  local at = string.format("%.0f", math.max(tonumber(ARGV[3]), number_or(0, found[7]) + 1))
  redis.call("HSET", claim, "fingerprint", ARGV[1], "ids", ARGV[2], "at", at)
  hold()
  return {"claimed", ARGV[2], at, 0}
end
if found[1] ~= ARGV[1] then return {"mismatch"} end
if found[4] then return {"answered", tonumber(found[4]), found[5]} end
local lease = number_or(0, found[3])
-- It ends later than when it was just given: the clock was set back since. It is held for its whole time from now on.
if lease > now + CLAIM_LEASE_MS then
  lease = now + CLAIM_LEASE_MS
  redis.call("HSET", claim, "lease", lease)
end
if lease > now then return {"in-flight", lease - now} end
bytes = held
reweigh()
hold()
return {"claimed", found[2], found[7] or ARGV[3], 1}
