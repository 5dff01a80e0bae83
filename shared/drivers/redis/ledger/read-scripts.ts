/** The scripts that read the ledger. They change nothing; each looks at a bounded number of rows. */
import { UNKNOWN_ENDPOINT } from "../../../domain/delivery.ts";
import { LEDGER_STATES } from "./script-constants.ts";
import { luaScript } from "../client/lua-script.ts";
import type { RedisScript } from "../client/redis-commands.ts";

export const READ_EVENT: RedisScript = luaScript({
  name: "ledger-read-event",
  returns: "bytes",
  files: ["ledger/names", "ledger/read-event"],
  constants: LEDGER_STATES,
});

export const READ_COMPLETED: RedisScript = luaScript({
  name: "ledger-read-completed",
  returns: "text",
  files: ["ledger/names", "ledger/read-completed"],
  constants: LEDGER_STATES,
});

export const LIST_EVENTS: RedisScript = luaScript({
  name: "ledger-list-events",
  returns: "bytes",
  files: ["ledger/names", "client/list", "ledger/event-state", "ledger/list-events"],
  constants: { ...LEDGER_STATES, UNKNOWN_ENDPOINT },
});

export const LIST_DELIVERIES: RedisScript = luaScript({
  name: "ledger-list-deliveries",
  returns: "text",
  files: ["ledger/names", "client/list", "ledger/list-deliveries"],
  constants: LEDGER_STATES,
});
