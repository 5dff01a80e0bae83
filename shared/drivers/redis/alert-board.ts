/** The board of alerts in Redis: one key. A failover may lose its last change: an alert is sent twice then, or ends late. */
import type { AlertBoard } from "../../ports/alert-board.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";
import { luaScript } from "./client/lua-script.ts";
import { textOrNull } from "./client/reply.ts";

const READ: RedisScript = luaScript({ name: "read-key", returns: "text", files: ["client/read-key"] });
const REPLACE: RedisScript = luaScript({ name: "replace-key", returns: "text", files: ["client/replace"] });

export function createRedisAlertBoard(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
}): AlertBoard {
  const { commands, keys } = options;
  const key = keys.key(0, "alerts");
  return {
    read: async () => textOrNull(await commands.run(READ, [key], [])),
    replace: async (before, after) => Number(await commands.run(REPLACE, [key], [before ?? "", after])) === 1,
  };
}
