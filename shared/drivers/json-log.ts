/**
 * Logs as JSON lines (RFC 8259, one object a line) on a given sink. Lines are collected and written once per tick, so
 * that a burst costs one write; a sink that fails loses lines, never the caller.
 */
import type { Clock } from "../lib/ambient.ts";
import type { Level, Log } from "../telemetry/log.ts";
import { LEVELS } from "../telemetry/log.ts";

/** Lines that may wait for the next tick; more are dropped and counted in the next line written. */
const LINES_MAX = 10_000;

export function createJsonLog(deps: { clock: Clock; level: Level; write: (text: string) => void }): Log {
  const lowest = LEVELS.indexOf(deps.level);
  let waiting: string[] = [];
  let dropped = 0;
  const flush = () => {
    if (dropped > 0) waiting.push(`${JSON.stringify({ level: "warn", event: "log.dropped", lines: dropped })}\n`);
    const text = waiting.join("");
    waiting = [];
    dropped = 0;
    try {
      deps.write(text);
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
      if (waiting.length === 0) deps.clock.soon(flush);
      waiting.push(`${JSON.stringify({ time: new Date(deps.clock.now()).toISOString(), level, event, ...fields })}\n`);
    },
  };
}
