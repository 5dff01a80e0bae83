/**
 * The few calls that everything on Redis is made of, so that it can run over TCP, over HTTP, and over a model in memory.
 * Almost all logic is scripts, each atomic; their keys must lie in one hash slot (`key-space.ts`). HTTP carries what stands
 * alone; what needs a connection that lasts it does not have.
 */

export type RedisArgument = string | number | Uint8Array;

/** What a script returned; bulk strings as text or as bytes, as the script says. */
export type RedisReply = null | number | string | Uint8Array | readonly RedisReply[];

/** Every call ends after it, with an answer or without one. */
export const COMMAND_MS_MAX = 2000;
/** Without any answer for so long, while something waits for one, Redis counts as stalled for whoever has another way. */
export const STALL_MS = 400;
/** The same for whoever is the other way already: after it there is none. */
export const LAST_WAY_SILENCE_MS = 800;

export interface RedisScript {
  /** Lower case with hyphens; the model in memory finds its twin by it. */
  readonly name: string;
  /**
   * Lua, without the prelude that is put before each script: `local now` is the time in epoch ms, the server's own
   * unless the commands were opened with another clock. ARGV begins with the first of `run`'s arguments.
   */
  readonly lua: string;
  readonly returns: "text" | "bytes";
  /**
   * Its caller has another way, so it rejects with `store-unavailable` as soon as Redis has said nothing to this process for so
   * long, and at once while that goes on. It may be carried out all the same. Left out, and over HTTP, where no call knows of
   * another: it waits for its full time.
   */
  readonly silenceMsMax?: typeof STALL_MS | typeof LAST_WAY_SILENCE_MS;
}

/** What stands alone, each call for itself. */
export interface RedisRequests extends AsyncDisposable {
  /** Runs a script on the master, loading it when Redis does not know it. Rejects with `store-unavailable`. */
  run(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<RedisReply>;
  /** At most once; rejects with `store-unavailable`. */
  publish(channel: string, message: string): Promise<void>;
  /**
   * Null, or one sentence on what is wrong. Asks the server of each key, which need not be there, whether it answers and
   * takes writes; nothing is written.
   */
  health(keys: readonly string[]): Promise<string | null>;
}

export interface RedisCommands extends RedisRequests {
  /**
   * Waits until the list holds something, on a connection of its own (`BLMOVE key key RIGHT RIGHT` changes nothing).
   * False after `waitMs` or when `signal` was aborted. A client-side deadline above `waitMs` makes a dead connection
   * reject instead of hanging.
   */
  waitForList(key: string, waitMs: number, signal: AbortSignal): Promise<boolean>;
  /** Calls `listener` for each message and `connected` after each (re)connection: what was published before may be lost. */
  subscribe(channel: string, listener: (message: string) => void, connected: () => void): Promise<AsyncDisposable>;
}
