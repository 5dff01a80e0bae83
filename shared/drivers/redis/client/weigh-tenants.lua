-- Part: what the tenants of an index weigh together, added up anew where the sum cannot be right.

-- `root:tenants` has each tenant's weight; one whose list is empty goes, and so do weights that are none of ours. Costs as
-- much as there are tenants.
local function weigh_tenants(root, list)
  local all = 0
  local tenants = redis.call('ZRANGE', root .. ':tenants', 0, -1, 'WITHSCORES')
  for index = 1, #tenants, 2 do
    local weight = number_or(-1, tenants[index + 1])
    if weight < 0 or redis.pcall('ZCARD', root .. list .. tenants[index]) == 0 then
      redis.call('ZREM', root .. ':tenants', tenants[index])
    else
      all = all + weight
    end
  end
  redis.call('SET', root .. ':bytes', string.format('%.0f', all))
  return all
end
