/**
 * The scripts of a lane on Redis, and the names of its keys. All keys of one script lie in one shard's slot.
 *
 * `list`    LIST  packed envelopes, new ones at the left, the next one at the right. Never trimmed. Those that may have
 *                 been worked on before begin with the mark, one byte 0x01, which no packed envelope begins with. It has
 *                 what came by other hands; what was appended lies in the row of its tenant, `<list>:row:<tenant>`, alike.
 * `turns`   LIST  tenants whose row has something, the next one at the right.
 * `fresh`   LIST  those of them that had nothing waiting before; they come before the others. An empty name stands for `list`.
 * `bell`    LIST  one empty element while `turns` or `fresh` has somebody. Those who found nothing wait for it.
 * `held`    HASH  ticket -> element, while a process holds it.
 * `leases`  ZSET  ticket by the time at which its lease runs out. A ticket is `<holder>:<number of 12 digits>:<tenant>`, so
 *                 that those of one holder and one time are in the order in which they were taken.
 * `holders` ZSET  holder by the time until which it counts as present; one that is absent holds nothing any more.
 * `kept`    ZSET  `<tenant>/<event>` of all that waits or is held, by acceptance time.
 * `known`   ZSET  the same names after the ack, by the time at which they may be forgotten; with `~` before the name
 *                 those that entered by another door.
 * `tally`   HASH  `<name>:items` and `<name>:bytes` of each lane that shares the bounds.
 */
import type { KeySpace } from "../client/key-space.ts";
import { ENVELOPE_BODY_BYTES_MAX } from "../../../domain/envelope.ts";
import { LINE_BYTES_MAX } from "../../../domain/envelope-record.ts";
import { luaScript } from "../client/lua-script.ts";
import type { RedisScript } from "../client/redis-commands.ts";
import { STALL_MS } from "../client/redis-commands.ts";

export interface LaneKeys {
  readonly list: string;
  readonly turns: string;
  readonly fresh: string;
  readonly bell: string;
  readonly held: string;
  readonly leases: string;
  readonly holders: string;
  readonly kept: string;
  readonly known: string;
  readonly tally: string;
}

/** `name` tells lanes apart that share the bounds; all their keys begin with `lane:`. */
export function laneKeys(keys: KeySpace, shard: number, name: string): LaneKeys {
  const key = (part: string): string => keys.key(shard, `lane:${name}${part}`);
  return {
    list: key(""),
    turns: key(":turns"),
    fresh: key(":fresh"),
    bell: key(":bell"),
    held: key(":held"),
    leases: key(":leases"),
    holders: key(":holders"),
    kept: key(":kept"),
    known: key(":known"),
    tally: keys.key(shard, "lane:tally"),
  };
}

/** First byte of an element that may have been worked on; JSON does not begin with it. */
export const REPEAT_MARK = 0x01;

/** Of a packed envelope, about: what more the lane counts than so much for each item is no count of ours. */
const ITEM_BYTES_MAX = ENVELOPE_BODY_BYTES_MAX + LINE_BYTES_MAX;

/** Items that a tenant gets in one turn at most. */
const TURN_ITEMS_MAX = 16;
/** Names that one script looks at to find rows without a turn. */
const NAMES_MAX = 1000;

/** Items of one call of the scripts for ack, release and renewal: a Lua call takes some 8,000 values at most. */
export const CALL_ITEMS_MAX = 1000;

export const appendScript: RedisScript = luaScript({
  name: "lane-append",
  returns: "text",
  files: ["high-lane/rows", "high-lane/append"],
  constants: { ITEM_BYTES_MAX },
  silenceMsMax: STALL_MS,
});

export const takeScript: RedisScript = luaScript({
  name: "lane-take",
  returns: "bytes",
  files: ["high-lane/rows", "high-lane/take"],
  constants: { TURN_ITEMS_MAX },
});

export const ackScript: RedisScript = luaScript({
  name: "lane-ack",
  returns: "text",
  files: ["high-lane/rows", "high-lane/ack"],
  constants: { NAMES_MAX },
});

export const releaseScript: RedisScript = luaScript({
  name: "lane-release",
  returns: "text",
  files: ["high-lane/rows", "high-lane/release"],
});

export const takeBackScript: RedisScript = luaScript({
  name: "lane-take-back",
  returns: "text",
  files: ["high-lane/rows", "high-lane/take-back"],
});

export const beatScript: RedisScript = luaScript({
  name: "lane-beat",
  returns: "text",
  files: ["high-lane/rows", "high-lane/beat"],
  constants: { NAMES_MAX },
});

export const depthScript: RedisScript = luaScript({
  name: "lane-depth",
  returns: "text",
  files: ["high-lane/depth"],
});

export const noteScript: RedisScript = luaScript({
  name: "lane-note",
  returns: "text",
  files: ["high-lane/note"],
});
