/** Structured logs: one line per business event. Ids belong here and on spans, never on metric labels. */
import { traceIdOf } from "../domain/traceparent.ts";

export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  isEnabled(level: Level): boolean;
  /** `event` is a dotted name such as `delivery.dead`. Never throws, never waits; secrets are the caller's to redact. */
  write(level: Level, event: string, fields: Fields): void;
}

/** Of a line about an event, which finds its trace by it; nothing for an event without one. */
export function traceField(traceparent: string | null): Fields {
  return traceparent === null ? {} : { trace_id: traceIdOf(traceparent) };
}

/** Each line goes to both. */
export function bothLogs(one: Log, other: Log): Log {
  return {
    isEnabled: (level) => one.isEnabled(level) || other.isEnabled(level),
    write(level, event, fields) {
      one.write(level, event, fields);
      other.write(level, event, fields);
    },
  };
}

export const silentLog: Log = { isEnabled: () => false, write: () => undefined };
