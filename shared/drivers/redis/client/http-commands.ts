/**
 * The seam `redis-commands` over HTTP, for where there is no TCP: the calls that stand alone. There is no connection that could
 * block on a list or hear of what is published, so it has neither. Nothing that can be awaited is shared between calls.
 */
import type { Clock } from "../../../lib/ambient.ts";
import { replyOfJson, textArguments } from "./http-arguments.ts";
import type { Fetch, HttpAddress } from "./http-exchange.ts";
import { exchange } from "./http-exchange.ts";
import { luaSource } from "./lua-source.ts";
import type { ScriptTime } from "./prelude.ts";
import { createScriptSources } from "./prelude.ts";
import type { RedisRequests } from "./redis-commands.ts";
import { COMMAND_MS_MAX } from "./redis-commands.ts";
import { MAY_WRITE, healthSentence, storeUnavailable } from "./redis-faults.ts";

export interface HttpRedisOptions {
  readonly address: HttpAddress;
  /** The setting that the address comes from, for messages. */
  readonly name: string;
  readonly fetch: Fetch;
  readonly clock: Pick<Clock, "now" | "deadline">;
  /** What `now` is in scripts: the server's time, or `clock.now()`. */
  readonly time: ScriptTime;
}

const BYTES_OF_TEXT = luaSource("client/bytes-of-text");

/** Asks nothing yet. Once disposed it refuses every call; what is under way goes on. */
export function openHttpRedis({ address, name, fetch, clock, time }: HttpRedisOptions): RedisRequests {
  const plain = createScriptSources(time);
  const withBytes = createScriptSources(time, BYTES_OF_TEXT);
  let isClosed = false;

  /** Calls to `ask` within one `step` share its time. */
  async function inTime<Answer>(step: (ask: Ask) => Promise<Answer>): Promise<Answer> {
    if (isClosed) throw storeUnavailable("Redis is not asked any more");
    using deadline = clock.deadline(COMMAND_MS_MAX);
    return await step((command) => exchange(fetch, address, command, deadline.signal));
  }

  return {
    run(script, keys, args) {
      const { values, bytesAt } = textArguments([...(time === "clock" ? [clock.now()] : []), ...args]);
      const { sha, text } = (bytesAt.length === 0 ? plain : withBytes)(script);
      const rest = [keys.length, ...keys, ...(bytesAt.length === 0 ? [] : [bytesAt.join(" ")]), ...values];
      return inTime(async (ask) => {
        const result = await ask(["EVALSHA", sha, ...rest]).catch((error: unknown) => {
          if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
          return ask(["EVAL", text, ...rest]);
        });
        return replyOfJson(result, script.returns);
      });
    },
    async publish(channel, message) {
      await inTime((ask) => ask(["PUBLISH", channel, message]));
    },
    async health(keys) {
      const asked = keys.map((key) => inTime((ask) => ask(["EVAL", MAY_WRITE, 1, key])));
      return healthSentence(await Promise.allSettled(asked), name);
    },
    [Symbol.asyncDispose]() {
      isClosed = true;
      return Promise.resolve();
    },
  };
}

type Ask = (command: readonly (string | number)[]) => Promise<unknown>;
