/** The scripts that write the ledger. Each is atomic and may be run twice: the second time changes nothing. */
import { SCHEDULE_WAITS } from "../../../domain/delivery.ts";
import { ATTEMPTS_MAX } from "../../../domain/retry-policy.ts";
import { EXPIRY_SLACK_MS, HELD_KEPT_MS, OPEN_KEPT_MS, RELEASED_KEPT_MS } from "./bounds.ts";
import { EVENT_CONSTANTS } from "./script-constants.ts";
import { luaScript } from "../client/lua-script.ts";
import type { RedisScript } from "../client/redis-commands.ts";
import { STALL_MS } from "../client/redis-commands.ts";

/** Members of the lists of an endpoint that nobody writes to any more outlive all events that they name. */
const LIST_KEPT_MS = HELD_KEPT_MS + OPEN_KEPT_MS + EXPIRY_SLACK_MS;

export const REMEMBER: RedisScript = luaScript({
  name: "ledger-remember",
  returns: "text",
  files: ["ledger/names", "client/weigh-tenants", "ledger/events", "ledger/remember"],
  constants: { ...EVENT_CONSTANTS, IS_RECALL: false },
  silenceMsMax: STALL_MS,
});

/** As REMEMBER, for events that were accepted a while ago: what would be the first to go, or has had its time, stays out. */
export const RECALL: RedisScript = luaScript({
  name: "ledger-recall",
  returns: "text",
  files: ["ledger/names", "client/weigh-tenants", "ledger/events", "ledger/remember"],
  constants: { ...EVENT_CONSTANTS, IS_RECALL: true },
});

export const FORGET: RedisScript = luaScript({
  name: "ledger-forget",
  returns: "text",
  files: ["ledger/names", "client/weigh-tenants", "ledger/events", "ledger/forget"],
  constants: EVENT_CONSTANTS,
  silenceMsMax: STALL_MS,
});

export const RECORD: RedisScript = luaScript({
  name: "ledger-record",
  returns: "text",
  files: ["ledger/names", "client/weigh-tenants", "ledger/events", "ledger/record"],
  constants: { ...EVENT_CONSTANTS, ATTEMPTS_MAX, LIST_KEPT_MS, SCHEDULE_WAITS },
});

export const RELEASE: RedisScript = luaScript({
  name: "ledger-release",
  returns: "text",
  files: ["ledger/names", "client/weigh-tenants", "ledger/events", "ledger/release"],
  constants: { ...EVENT_CONSTANTS, RELEASED_KEPT_MS },
});
