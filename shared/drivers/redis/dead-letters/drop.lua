-- KEYS: root. ARGV: for each dead letter: id, revision or nothing, place of its tombstone or nothing. What is dropped is that
-- revision; without one what the record has before the tombstone, and anything when neither is given. All or nothing. Returns id and
-- JSON of each.

local dropped = {}
for index = 1, #ARGV, 3 do
  local id, revision, tombstone = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  local meta, text = read(id)
  if text and not meta then take_out_unreadable(id, root .. ':all') end
  if meta and ((revision == '' and tombstone == '') or meta.revision == revision
      or (revision == '' and is_before(redis.call('HGET', root .. ':places', id), tombstone))) then
    take_out(id, meta)
    dropped[#dropped + 1] = id
    dropped[#dropped + 1] = text
  end
  if revision ~= '' then mark(id, revision) end
  local evicted = redis.call('HGET', root .. ':evicted', id)
  local was = evicted and decode(evicted)
  if evicted and (not was or was.revision == revision) then redis.call('HDEL', root .. ':evicted', id) end
end
trim_marks()
return dropped
