-- KEYS[1] the order
-- ARGV    bound to begin below, how many
-- Returns the members, descending

return redis.call("ZREVRANGEBYLEX", KEYS[1], ARGV[1], "-", "LIMIT", 0, ARGV[2])
