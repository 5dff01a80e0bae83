-- KEYS: root. ARGV: for each record that was read: id, revision or nothing, its place, 1 for a tombstone.
-- Returns for each `gone`: a dead letter that was taken out; `outdated`: other news stand before it in the record, which the
-- index has; `here`: the index has it, or other news whose place is not known, so that they were not read yet; or nothing.

local found = {}
for index = 1, #ARGV, 4 do
  local id, revision, place, is_tombstone = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3] == '1'
  local meta, text = read(id)
  local kind = ''
  if text then
    kind = 'here'
    if meta and meta.revision ~= revision and is_before(redis.call('HGET', root .. ':places', id), place) then kind = 'outdated' end
  elseif not is_tombstone and redis.call('ZSCORE', root .. ':gone', id .. '|' .. revision) then
    kind = 'gone'
  end
  found[#found + 1] = kind
end
return found
