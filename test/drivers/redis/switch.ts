/** A line to Redis that can be cut, that can send each script twice, and that tells when nothing is under way. */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { RedisCommands } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";

export interface SwitchedCommands {
  readonly commands: RedisCommands;
  /** Names of the scripts that were asked for, in order. */
  readonly scripts: readonly string[];
  setAway(isAway: boolean): void;
  quiet(): Promise<void>;
}

export function createSwitchedCommands(
  commands: RedisCommands,
  options: { readonly isSentTwice?: boolean } = {},
): SwitchedCommands {
  const scripts: string[] = [];
  let underWay = 0;
  let isAway = false;

  async function counted<Answer>(step: () => Promise<Answer>): Promise<Answer> {
    underWay++;
    try {
      if (isAway) throw new PosthasteError("store-unavailable", "Redis is away, says the test.");
      return await step();
    } finally {
      underWay--;
    }
  }

  return {
    scripts,
    commands: {
      ...commands,
      run(script, keys, args) {
        scripts.push(script.name);
        return counted(async () => {
          if (options.isSentTwice === true) await commands.run(script, keys, args);
          return await commands.run(script, keys, args);
        });
      },
      publish: (channel, message) => counted(() => commands.publish(channel, message)),
    },
    setAway(next) {
      isAway = next;
    },
    async quiet() {
      for (let idle = 0; idle < 5; idle++) {
        if (underWay > 0) idle = 0;
        await new Promise<void>((resolve) => void setImmediate(resolve));
      }
    },
  };
}
