/** Makes a script of `.lua` files: a line with the constants, how numbers are read, the shared parts, the script itself. */
import { luaSource } from "./lua-source.ts";
import type { RedisScript } from "./redis-commands.ts";

type LuaConstant = number | string | boolean | readonly string[];

interface ScriptFiles {
  readonly name: string;
  readonly returns: "text" | "bytes";
  /** In this order; those before the last are parts that several scripts share. */
  readonly files: readonly string[];
  /** Each is a local of the same name. */
  readonly constants?: Readonly<Record<string, LuaConstant>>;
  readonly silenceMsMax?: RedisScript["silenceMsMax"];
}

const NUMBERS = luaSource("client/numbers");

/** JSON writes our numbers and plain words as Lua does. */
function literal(value: LuaConstant): string {
  return typeof value === "object" ? `{${value.map(literal).join(", ")}}` : JSON.stringify(value);
}

/** Reads the files at once: a script is a constant of the code. */
export function luaScript({ name, returns, files, constants = {}, silenceMsMax }: ScriptFiles): RedisScript {
  const header = Object.entries(constants).map(([constant, value]) => `local ${constant} = ${literal(value)}`);
  const lua = [header.join("; "), NUMBERS, ...files.map(luaSource)].join("\n");
  return { name, returns, lua, ...(silenceMsMax === undefined ? {} : { silenceMsMax }) };
}
