-- KEYS[1] the order
-- ARGV    bound to begin behind, how many
-- Returns the members, ascending

return redis.call("ZRANGEBYLEX", KEYS[1], ARGV[1], "+", "LIMIT", 0, ARGV[2])
