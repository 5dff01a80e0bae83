-- KEYS list, turns, fresh, bell, held, leases. ARGV tickets in the order of taking.
-- Returns the number of items put back to the heads of their rows, in that order, marked as repeats.
-- Atomic: a ticket that is not held any more changes nothing.

local held, leases = unpack(KEYS, 5)
return give_back(held, leases, ARGV)
