/** Every script file can be compiled, and says at its top what it takes, what it returns, or that it is a part. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isLua } from "../../support/redis-model/lua.ts";

const root = join(import.meta.dirname, "../../../shared/drivers/redis");
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".lua"));

/** What the comment at the top lacks. */
function missing(text: string): readonly string[] {
  const header = /^(?:--.*\n)*/.exec(text)?.[0] ?? "";
  if (header.startsWith("-- Part: ")) return [];
  return ["KEYS", "ARGV", "Returns"].filter((word) => !header.includes(word));
}

test("every Lua file can be compiled", () => {
  assert.ok(files.length > 30, `only ${files.length} files were found`);
  assert.equal(isLua("local = 1"), false);
  for (const file of files) assert.ok(isLua(readFileSync(join(root, file), "utf8")), file);
});

test("every Lua file says what it takes and returns", () => {
  assert.deepEqual(missing("-- KEYS: none\nreturn 1"), ["ARGV", "Returns"]);
  for (const file of files) assert.deepEqual(missing(readFileSync(join(root, file), "utf8")), [], file);
});
