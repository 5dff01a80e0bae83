/** Every script file can be compiled, and says at its top what it takes, what it returns, or that it is a part. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { lauxlib, lua, to_luastring } from "fengari";

const root = join(import.meta.dirname, "../../../shared/drivers/redis");
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".lua"));

function isCompiled(text: string): boolean {
  return lauxlib.luaL_loadstring(lauxlib.luaL_newstate(), to_luastring(text)) === lua.LUA_OK;
}

/** What the comment at the top lacks. */
function missing(text: string): readonly string[] {
  const header = /^(?:--.*\n)*/.exec(text)?.[0] ?? "";
  if (header.startsWith("-- Part: ")) return [];
  return ["KEYS", "ARGV", "Returns"].filter((word) => !header.includes(word));
}

test("every Lua file can be compiled", () => {
  assert.ok(files.length > 30, `only ${files.length} files were found`);
  assert.equal(isCompiled("local = 1"), false);
  for (const file of files) assert.ok(isCompiled(readFileSync(join(root, file), "utf8")), file);
});

test("every Lua file says what it takes and returns", () => {
  assert.deepEqual(missing("-- KEYS: none\nreturn 1"), ["ARGV", "Returns"]);
  for (const file of files) assert.deepEqual(missing(readFileSync(join(root, file), "utf8")), [], file);
});
