/**
 * Logs as JSON lines (RFC 8259, one object a line) on a given sink. Lines are collected and written once per tick, so
 * that a burst costs one write. A sink that is slow keeps lines waiting up to `LINES_MAX`, and one that fails loses them; the
 * caller never waits.
 */
import type { Clock } from "../lib/ambient.ts";
import type { Level, Log } from "../telemetry/log.ts";
import { LEVELS } from "../telemetry/log.ts";

/** Lines that may wait for the next tick, or for the sink; more are dropped and counted in the next line written. */
export const LINES_MAX = 10_000;

/** Takes the text. Undefined: the next may come at once; else it may when the promise, which never rejects, resolves. */
export type LogSink = (text: string) => Promise<void> | undefined;

export function createJsonLog(deps: { clock: Pick<Clock, "now" | "soon">; level: Level; write: LogSink }): Log {
  const lowest = LEVELS.indexOf(deps.level);
  let waiting: string[] = [];
  let dropped = 0;
  let isSinkBusy = false;
  const goOn = (): void => {
    isSinkBusy = false;
    if (waiting.length > 0) flush();
  };
  const flush = (): void => {
    if (dropped > 0) waiting.push(`${JSON.stringify({ level: "warn", event: "log.dropped", lines: dropped })}\n`);
    const text = waiting.join("");
    waiting = [];
    dropped = 0;
    try {
      const busy = deps.write(text);
      isSinkBusy = busy !== undefined;
      void busy?.then(goOn);
    } catch {
      // A log that cannot be written must not stop a delivery.
    }
  };
  return {
    isEnabled: (level) => LEVELS.indexOf(level) >= lowest,
    write(level, event, fields) {
      if (LEVELS.indexOf(level) < lowest) return;
      if (waiting.length >= LINES_MAX) {
        dropped += 1;
        return;
      }
      if (waiting.length === 0 && !isSinkBusy) deps.clock.soon(flush);
      waiting.push(`${JSON.stringify({ time: new Date(deps.clock.now()).toISOString(), level, event, ...fields })}\n`);
    },
  };
}
