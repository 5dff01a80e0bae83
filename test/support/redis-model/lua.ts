/**
 * Runs the scripts of Redis on a Lua virtual machine in JavaScript. Redis has Lua 5.1, this is 5.3: what the two do
 * differently is levelled here. Numbers are doubles everywhere, and are written without a fraction when they have none.
 */
import type { LuaState } from "fengari";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { byteText, bytesOf, byteTextOfUtf8, utf8Of } from "./byte-text.ts";

// Its own switch for numbers as 5.1 writes them, which it reads once, when it is loaded.
process.env["FENGARICONF"] ??= '{"LUA_COMPAT_FLOATSTRING":true}';
const { lua, lauxlib, lualib, to_luastring: name } = await import("fengari");

/** Text is bytes (`byte-text.ts`). */
export type LuaReply =
  | null
  | number
  | string
  | { readonly error: string }
  | { readonly status: string }
  | readonly LuaReply[];

export interface Lua {
  /** What the script returns, by Redis' rules. Throws `ScriptError`. */
  run(source: string, keys: readonly string[], args: readonly string[], now: number): LuaReply;
}

/** An error that a script did not catch, as Redis would reply it. */
export class ScriptError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ScriptError";
  }
}

const SCRIPTS_MAX = 1000;
const DEPTH_MAX = 20;

/** What 5.1 has and 5.3 has not. Integers of the machine have 32 bits, so that none may come from a number's text. */
const LEVELLING = `
unpack = table.unpack
local read, format, whole_text = tonumber, string.format, redis.whole_text
function tonumber(value, ...)
  local number = read(value, ...)
  return number and number + 0.0
end
function string.format(pattern, ...)
  local whole = (pattern == '%.0f' or pattern == '%d') and whole_text(...)
  return whole or format((string.gsub(pattern, '%%(%d*)d', '%%%1.0f')), ...)
end
function redis.error_reply(text) return {err = text} end
`;

/** Whether a text is Lua; nothing is run. */
export function isLua(text: string): boolean {
  const source = bytesOf(byteTextOfUtf8(text));
  const state = lauxlib.luaL_newstate();
  return lauxlib.luaL_loadbuffer(state, source, source.length, name("text")) === lua.LUA_OK;
}

type Call = (command: readonly string[]) => LuaReply;

/** One machine serves all: it keeps nothing from one script to the next but the scripts. */
const machine = createMachine();

export function createLua(call: Call): Lua {
  return { run: (source, keys, args, now) => machine(call, source, keys, args, now) };
}

function createMachine() {
  const state = lauxlib.luaL_newstate();
  let call: Call = () => null;
  lualib.luaL_openlibs(state);
  const reply = (from: LuaState): LuaReply => {
    const command: string[] = [];
    for (let index = 1; index <= lua.lua_gettop(from); index++) command.push(textAt(from, index));
    return attempt(call, command);
  };
  define(state, "redis", {
    call(from) {
      const given = reply(from);
      push(from, given);
      return isError(given) ? lua.lua_error(from) : 1;
    },
    pcall(from) {
      push(from, reply(from));
      return 1;
    },
    whole_text: pushWholeText,
  });
  define(state, "cjson", {
    decode(from) {
      pushJson(from, JSON.parse(utf8Of(textAt(from, 1))));
      return 1;
    },
  });
  load(state, LEVELLING);
  if (lua.lua_pcall(state, 0, 0, 0) !== lua.LUA_OK) throw new Error(errorAt(state));
  const references = new Map<string, number>();

  function referenceOf(source: string): number {
    let reference = references.get(source);
    if (reference === undefined) {
      assert(references.size < SCRIPTS_MAX, "scripts are constants of the code");
      load(state, `local KEYS, ARGV, now = ...\n${source}`);
      reference = lauxlib.luaL_ref(state, lua.LUA_REGISTRYINDEX);
      references.set(source, reference);
    }
    return reference;
  }

  return (own: Call, source: string, keys: readonly string[], args: readonly string[], now: number): LuaReply => {
    call = own;
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, referenceOf(source));
    push(state, keys);
    push(state, args);
    lua.lua_pushnumber(state, now);
    const isFine = lua.lua_pcall(state, 3, 1, 0) === lua.LUA_OK;
    const given = isFine ? replyAt(state, 0) : { error: errorAt(state) };
    lua.lua_pop(state, 1);
    if (isError(given)) throw new ScriptError(given.error);
    return given;
  };
}

function isError(reply: LuaReply): reply is { readonly error: string } {
  return reply !== null && typeof reply === "object" && "error" in reply;
}

function attempt(call: Call, command: readonly string[]): LuaReply {
  try {
    return call(command);
  } catch (error) {
    return { error: `ERR ${error instanceof Error ? error.message : String(error)}` };
  }
}

function define(state: LuaState, table: string, calls: Readonly<Record<string, (from: LuaState) => number>>): void {
  lua.lua_createtable(state, 0, 0);
  for (const [key, call] of Object.entries(calls)) {
    lua.lua_pushcfunction(state, call);
    lua.lua_setfield(state, -2, name(key));
  }
  lua.lua_setglobal(state, name(table));
}

function load(state: LuaState, source: string): void {
  const bytes = bytesOf(byteTextOfUtf8(source));
  if (lauxlib.luaL_loadbuffer(state, bytes, bytes.length, name("=script")) !== lua.LUA_OK) {
    throw new ScriptError(errorAt(state));
  }
}

function textAt(state: LuaState, index: number): string {
  if (lua.lua_type(state, index) === lua.LUA_TNUMBER) return String(lua.lua_tonumber(state, index));
  assert(lua.lua_type(state, index) === lua.LUA_TSTRING, "arguments of a command are texts or numbers");
  return byteText(lua.lua_tostring(state, index));
}

/** A whole number as its text, which is most of what scripts format; false: no such number. */
function pushWholeText(from: LuaState): number {
  const value = lua.lua_type(from, 1) === lua.LUA_TNUMBER ? lua.lua_tonumber(from, 1) : NaN;
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) pushText(from, String(value));
  else lua.lua_pushboolean(from, false);
  return 1;
}

function errorAt(state: LuaState): string {
  if (lua.lua_type(state, -1) === lua.LUA_TSTRING) return textAt(state, -1);
  const reply = replyAt(state, 0);
  return reply !== null && typeof reply === "object" && "error" in reply ? reply.error : "an error that is no text";
}

/** As Redis gives replies to a script: nothing is false. */
function push(state: LuaState, reply: LuaReply): void {
  if (reply === null) return lua.lua_pushboolean(state, false);
  if (typeof reply === "number") return lua.lua_pushnumber(state, reply);
  if (typeof reply === "string") return pushText(state, reply);
  if ("error" in reply) return pushField(state, "err", reply.error);
  if ("status" in reply) return pushField(state, "ok", reply.status);
  lua.lua_createtable(state, reply.length, 0);
  reply.forEach((each, index) => {
    push(state, each);
    lua.lua_rawseti(state, -2, index + 1);
  });
}

function pushField(state: LuaState, field: string, text: string): void {
  lua.lua_createtable(state, 0, 1);
  pushText(state, text);
  lua.lua_setfield(state, -2, name(field));
}

function pushText(state: LuaState, text: string): void {
  const bytes = bytesOf(text);
  lua.lua_pushlstring(state, bytes, bytes.length);
}

/** As Redis reads what a script returns: numbers lose their fraction, a list ends at its first nil. */
function replyAt(state: LuaState, depth: number): LuaReply {
  const type = lua.lua_type(state, -1);
  if (type === lua.LUA_TSTRING) return textAt(state, -1);
  if (type === lua.LUA_TNUMBER) return Math.trunc(lua.lua_tonumber(state, -1));
  if (type === lua.LUA_TBOOLEAN) return lua.lua_toboolean(state, -1) ? 1 : null;
  if (type !== lua.LUA_TTABLE) return null;
  assert(depth < DEPTH_MAX, "a reply is not nested for ever");
  const error = fieldAt(state, "err");
  if (error !== null) return { error };
  const list: LuaReply[] = [];
  for (;;) {
    const isOver = lua.lua_rawgeti(state, -1, list.length + 1) === lua.LUA_TNIL;
    if (!isOver) list.push(replyAt(state, depth + 1));
    lua.lua_pop(state, 1);
    if (isOver) return list;
  }
}

function fieldAt(state: LuaState, field: string): string | null {
  const isThere = lua.lua_getfield(state, -1, name(field)) === lua.LUA_TSTRING;
  const text = isThere ? textAt(state, -1) : null;
  lua.lua_pop(state, 1);
  return text;
}

function pushJson(state: LuaState, value: unknown): void {
  if (value === null || value === undefined) return lua.lua_pushnil(state);
  if (typeof value === "boolean") return lua.lua_pushboolean(state, value);
  if (typeof value === "number") return lua.lua_pushnumber(state, value);
  if (typeof value === "string") return pushText(state, byteTextOfUtf8(value));
  lua.lua_createtable(state, 0, 0);
  if (Array.isArray(value)) {
    value.forEach((each: unknown, index) => {
      pushJson(state, each);
      lua.lua_rawseti(state, -2, index + 1);
    });
    return;
  }
  for (const [key, each] of Object.entries(value)) {
    pushJson(state, each);
    lua.lua_setfield(state, -2, bytesOf(byteTextOfUtf8(key)));
  }
}
