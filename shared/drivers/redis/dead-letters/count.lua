-- KEYS: root. ARGV: tenant or nothing, endpoint or nothing, since, until (exclusive) or nothing. Returns a number. An
-- endpoint is one tenant's: any of its dead letters tells whose.

local key = KEYS[1] .. ':all'
if ARGV[2] ~= '' then
  key = KEYS[1] .. ':endpoint:' .. ARGV[2]
  local any = ARGV[1] ~= '' and redis.call('ZRANGE', key, 0, 0)[1]
  local is_json, meta = pcall(cjson.decode, any and redis.call('HGET', KEYS[1] .. ':meta', any) or '')
  if is_json and type(meta) == 'table' and meta.tenant ~= ARGV[1] then return 0 end
elseif ARGV[1] ~= '' then
  key = KEYS[1] .. ':tenant:' .. ARGV[1]
end
return redis.call('ZCOUNT', key, ARGV[3] == '' and '-inf' or ARGV[3], ARGV[4] == '' and '+inf' or '(' .. ARGV[4])
