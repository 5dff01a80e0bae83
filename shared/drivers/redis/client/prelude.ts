/**
 * What is put before each script: `now`, the time in epoch ms. The server's own in service, so that all processes agree
 * however their machines' clocks stand; the caller's in tests, as the first argument, which the script does not see.
 */
import { createHash } from "node:crypto";

import { luaSource } from "./lua-source.ts";
import type { RedisScript } from "./redis-commands.ts";

export type ScriptTime = "server" | "clock";

export interface ScriptSource {
  readonly text: string;
  /** What EVALSHA knows it by: SHA-1 in hex. */
  readonly sha: string;
}

const PRELUDES = {
  server: luaSource("client/time-of-server"),
  clock: luaSource("client/time-of-caller"),
} as const satisfies Record<ScriptTime, string>;

/** Scripts that one process may know; each is a constant of the code. */
const SCRIPTS_MAX = 1000;

/** Remembers the source of each script, by the script itself. `before` is a part that stands at the top of each. */
export function createScriptSources(time: ScriptTime, before = ""): (script: RedisScript) => ScriptSource {
  const sources = new Map<RedisScript, ScriptSource>();
  return (script) => {
    const known = sources.get(script);
    if (known !== undefined) return known;
    const text = `${before}${PRELUDES[time]}\n${script.lua}`;
    const source = { text, sha: createHash("sha1").update(text).digest("hex") };
    if (sources.size >= SCRIPTS_MAX) sources.clear();
    sources.set(script, source);
    return source;
  };
}
