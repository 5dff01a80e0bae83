/**
 * Lua that writes a tenant's endpoints back from the memory of a process, after Redis lost them. Two kinds of loss:
 *
 * - The epoch is the one that memory was read under, the version is lower: a failover lost the last writes, and what
 *   is there is an older state of the same history. Memory takes its place entirely.
 * - The epoch is another one (or none: it gets the fresh one): Redis was flushed. What was created since then stays; what
 *   memory holds and Redis does not is added, once: a note of whose memory was added keeps a second process, or the
 *   same one again, from bringing back what was removed since.
 */
import { PLACE_LENGTH } from "./scripts.ts";
import { luaScript } from "../client/lua-script.ts";
import type { RedisScript } from "../client/redis-commands.ts";

/** How long the note of an added memory is kept: longer than a process would sit on a tenant without re-reading it. */
const NOTE_MS = 7 * 24 * 3600 * 1000;

export const directoryRepair: RedisScript = luaScript({
  name: "directory-repair",
  returns: "text",
  files: ["directory/known-version", "directory/forget", "directory/repair"],
  constants: { NOTE_MS, PLACE_LENGTH },
});
