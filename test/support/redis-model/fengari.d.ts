/** The few calls of the Lua virtual machine that the model of Redis needs; the package brings no types. */
declare module "fengari" {
  interface LuaState {
    readonly "a state of the virtual machine": never;
  }
  type LuaFunction = (state: LuaState) => number;

  export const lua: {
    readonly LUA_OK: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_TNIL: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TTABLE: number;
    lua_createtable(state: LuaState, listSize: number, fieldCount: number): void;
    lua_error(state: LuaState): number;
    lua_getglobal(state: LuaState, name: Uint8Array): number;
    lua_gettop(state: LuaState): number;
    lua_pcall(state: LuaState, argumentCount: number, resultCount: number, handler: number): number;
    lua_pop(state: LuaState, count: number): void;
    lua_pushboolean(state: LuaState, value: boolean): void;
    lua_pushcfunction(state: LuaState, call: LuaFunction): void;
    lua_pushlstring(state: LuaState, bytes: Uint8Array, length: number): void;
    lua_pushnil(state: LuaState): void;
    lua_pushnumber(state: LuaState, value: number): void;
    lua_rawgeti(state: LuaState, index: number, at: number): number;
    lua_rawseti(state: LuaState, index: number, at: number): void;
    lua_getfield(state: LuaState, index: number, name: Uint8Array): number;
    lua_setfield(state: LuaState, index: number, name: Uint8Array): void;
    lua_setglobal(state: LuaState, name: Uint8Array): void;
    lua_toboolean(state: LuaState, index: number): boolean;
    lua_tonumber(state: LuaState, index: number): number;
    lua_tostring(state: LuaState, index: number): Uint8Array;
    lua_type(state: LuaState, index: number): number;
  };
  export const lauxlib: {
    luaL_loadbuffer(state: LuaState, source: Uint8Array, size: number, name: Uint8Array): number;
    luaL_newstate(): LuaState;
    luaL_ref(state: LuaState, index: number): number;
  };
  export const lualib: { luaL_openlibs(state: LuaState): void };
  export function to_luastring(text: string): Uint8Array;
  export type { LuaState };
}
