/**
 * The scripts of the dead letters' index. KEYS[1] is the root of one shard; every other name begins with it and so lies
 * in its slot:
 *
 *   :meta     hash, id -> JSON {revision, tenant, endpoint, event, generation, type, state, attempts, at, reason, bytes}
 *   :bodies   hash, id -> packed envelope
 *   :places   hash, id -> <partition>:<offset> in the record, once it is known
 *   :all, :tenant:<tenant>, :endpoint:<endpoint>, :event:<event>   sorted sets, ids by time
 *   :tenants  sorted set, tenants by the bytes of their bodies
 *   :bytes    what all bodies weigh
 *   :gone     sorted set, <id>|<revision> by the time from which its put may be repeated
 *   :whole    there when the index has all that the record has; :filling the token of whoever fills it
 *   :evicted   hash, id -> JSON of what had to make room and was not yet written out of the record
 */
import { luaScript } from "../client/lua-script.ts";
import type { RedisScript } from "../client/redis-commands.ts";

/** A put that was on its way longer than this is an old one no more: the record's order tells then. */
const GONE_KEPT_MS = 24 * 3600 * 1000;
const GONE_MAX = 100_000;
/** Dead letters that make room in one script, and that one reply names; the next goes on. */
const ROOM_MADE_MAX = 1000;
/** What makes room past it is told to nobody. */
const EVICTED_MAX = 10_000;

/** Of the event, or of the endpoint if that has fewer: so many are looked at for one delivery, the newest first. */
const DELIVERED_LOOKED_MAX = 10_000;

/** A filling that takes longer begins anew. */
const FILLING_MS_MAX = 3600 * 1000;

export const PUT_DEAD_LETTERS: RedisScript = luaScript({
  name: "dead-letters-put",
  returns: "text",
  files: ["client/weigh-tenants", "dead-letters/dead-letter", "dead-letters/put"],
  constants: { EVICTED_MAX, GONE_KEPT_MS, GONE_MAX, ROOM_MADE_MAX },
});

export const DROP_DEAD_LETTERS: RedisScript = luaScript({
  name: "dead-letters-drop",
  returns: "text",
  files: ["dead-letters/dead-letter", "dead-letters/drop"],
  constants: { GONE_KEPT_MS, GONE_MAX },
});

export const STRAY_DEAD_LETTERS: RedisScript = luaScript({
  name: "dead-letters-strays",
  returns: "text",
  files: ["dead-letters/dead-letter", "dead-letters/strays"],
  constants: { GONE_KEPT_MS, GONE_MAX },
});

export const DELIVERED_DEAD_LETTERS: RedisScript = luaScript({
  name: "dead-letters-delivered",
  returns: "text",
  files: ["dead-letters/dead-letter", "dead-letters/delivered"],
  constants: { GONE_KEPT_MS, GONE_MAX, LOOKED_MAX: DELIVERED_LOOKED_MAX },
});

export const READ_DEAD_LETTER: RedisScript = luaScript({
  name: "dead-letters-read",
  returns: "bytes",
  files: ["dead-letters/read"],
});

export const LIST_DEAD_LETTERS: RedisScript = luaScript({
  name: "dead-letters-list",
  returns: "bytes",
  files: ["dead-letters/dead-letter", "client/list", "dead-letters/list"],
  constants: { GONE_KEPT_MS, GONE_MAX },
});

export const WHOLE_DEAD_LETTERS: RedisScript = luaScript({
  name: "dead-letters-whole",
  returns: "text",
  files: ["dead-letters/whole"],
  constants: { FILLING_MS_MAX },
});

export const COUNT_DEAD_LETTERS: RedisScript = luaScript({
  name: "dead-letters-count",
  returns: "text",
  files: ["dead-letters/count"],
});
