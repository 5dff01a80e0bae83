/**
 * Scripts that go through a list run one at a time in a process, each followed by a pause as long as it took. Redis does one
 * thing at a time, and a filter that few rows pass is many scripts of some milliseconds: sixteen such reads at once kept
 * accepting and HIGH waiting for seconds.
 */
import type { Clock } from "../../lib/ambient.ts";
import { createTurns } from "../../lib/turns.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";
import { LIST_DEAD_LETTERS } from "./dead-letters/scripts.ts";
import { LIST_DELIVERIES, LIST_EVENTS } from "./ledger/read-scripts.ts";

const LISTS: ReadonlySet<RedisScript> = new Set([LIST_EVENTS, LIST_DELIVERIES, LIST_DEAD_LETTERS]);
/** Most of a longer call was waiting, and not the script. */
export const LIST_PAUSE_MS_MAX = 50;
const PAUSE_MS_MIN = 1;

/** Those that wait are in the order in which they came; they are as many as the reads at work. */
export function withListTurns(commands: RedisCommands, clock: Pick<Clock, "monotonic" | "timer">): RedisCommands {
  const turns = createTurns(() => 1);

  async function pause(ms: number): Promise<void> {
    if (ms < PAUSE_MS_MIN) return;
    await new Promise<void>((resolve) => void clock.timer(Math.min(ms, LIST_PAUSE_MS_MAX), resolve));
  }

  return {
    ...commands,
    run(script, keys, args) {
      if (!LISTS.has(script)) return commands.run(script, keys, args);
      return new Promise((resolve, reject) => {
        void turns.run("", async () => {
          const startedMs = clock.monotonic();
          await commands.run(script, keys, args).then(resolve, reject);
          await pause(clock.monotonic() - startedMs);
        });
      });
    },
  };
}
