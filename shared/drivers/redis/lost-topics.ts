/** Kafka topics that somebody deleted and of which what they held is not planned again yet; noted by whoever makes them again. */
import { assert } from "../../lib/assert.ts";
import type { KeySpace } from "./client/key-space.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";

/** More topics than there are. */
const TOPICS_MAX = 100;

const LOST_TOPICS: RedisScript = luaScript({ name: "lost-topics", returns: "text", files: ["lost-topics"] });

/** Everything rejects with `store-unavailable`. */
export interface LostTopics {
  /** One that is noted already keeps its first time. */
  note(topic: string): Promise<void>;
  done(topic: string): Promise<void>;
  list(): Promise<readonly LostTopic[]>;
}

export interface LostTopic {
  readonly topic: string;
  /** Epoch ms by Redis; NaN when it does not read back. */
  readonly sinceMs: number;
}

export function createLostTopics(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
}): LostTopics {
  const { commands, keys } = options;
  const name = "lost-topics";
  const run = (...args: readonly (string | number)[]) =>
    commands.run(LOST_TOPICS, [keys.key(keys.shardOf(name), name)], args);
  return {
    note: async (topic) => void (await run("note", topic, TOPICS_MAX)),
    done: async (topic) => void (await run("done", topic)),
    async list() {
      const reply = await run("list");
      assert(Array.isArray(reply), "the script lists topics and times");
      const texts = reply.map(String);
      return texts.flatMap((topic, at) => (at % 2 === 0 ? { topic, sinceMs: Number(texts[at + 1]) } : []));
    },
  };
}
