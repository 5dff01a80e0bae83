/** A value that the first process decides for all. */
import { luaScript } from "./lua-script.ts";
import type { RedisCommands } from "./redis-commands.ts";
import { textOf } from "./reply.ts";

const SET_ONCE = luaScript({ name: "set-once", returns: "text", files: ["client/set-once"] });

/** The value that holds afterwards: `value`, or that of whoever came first. */
export async function setOnce(commands: Pick<RedisCommands, "run">, key: string, value: string): Promise<string> {
  return textOf(await commands.run(SET_ONCE, [key], [value]));
}
