/** Logs as JSON lines, each written at once: where requests share no time, none could be written later for another. */
import type { Clock } from "../../lib/ambient.ts";
import type { Level, Log } from "../../telemetry/log.ts";
import { LEVELS } from "../../telemetry/log.ts";

export function createLineLog(deps: {
  readonly clock: Pick<Clock, "now">;
  readonly level: Level;
  /** Gets the line without its end. */
  readonly write: (line: string) => void;
}): Log {
  const lowest = LEVELS.indexOf(deps.level);
  return {
    isEnabled: (level) => LEVELS.indexOf(level) >= lowest,
    write(level, event, fields) {
      if (LEVELS.indexOf(level) < lowest) return;
      deps.write(JSON.stringify({ time: new Date(deps.clock.now()).toISOString(), level, event, ...fields }));
    },
  };
}
