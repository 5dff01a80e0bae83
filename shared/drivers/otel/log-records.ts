/** Log lines as records of OpenTelemetry ("Logs Data Model"): the event's name, its level, its fields, its trace. */
import type { Attributes, HrTime, SpanContext } from "@opentelemetry/api";
import { TraceFlags } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";

import type { Clock } from "../../lib/ambient.ts";
import type { Fields, Level, Log } from "../../telemetry/log.ts";
import { SCOPE } from "./scope.ts";

/** "Severity Fields": the first number of each range. */
const SEVERITIES = { debug: 5, info: 9, warn: 13, error: 17 } as const satisfies Record<Level, number>;
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;

/** Hands each line of an enabled level to `add`, as a record. */
export function createRecordLog(deps: {
  readonly clock: Pick<Clock, "now">;
  readonly isEnabled: Log["isEnabled"];
  readonly resource: Resource;
  readonly add: (record: ReadableLogRecord) => void;
}): Log {
  const { clock, isEnabled, resource, add } = deps;
  return {
    isEnabled,
    write(level, event, fields) {
      if (isEnabled(level)) add(recordOf(clock.now(), level, event, fields, resource));
    },
  };
}

function recordOf(nowMs: number, level: Level, event: string, fields: Fields, resource: Resource): ReadableLogRecord {
  const { trace_id: traceId, ...rest } = fields;
  const time: HrTime = [Math.floor(nowMs / 1000), Math.floor((nowMs % 1000) * 1e6)];
  const isTraced = typeof traceId === "string" && TRACE_ID.test(traceId);
  return {
    hrTime: time,
    hrTimeObserved: time,
    severityNumber: SEVERITIES[level],
    severityText: level,
    eventName: event,
    // Viewers show the body, and few of them the name.
    body: event,
    attributes: attributesOf(isTraced ? rest : fields),
    droppedAttributesCount: 0,
    resource,
    instrumentationScope: SCOPE,
    ...(isTraced ? { spanContext: ofTrace(traceId) } : {}),
  };
}

/** A line is about an event and not about one of its spans; whether those were recorded is not known here. */
function ofTrace(traceId: string): SpanContext {
  return { traceId, spanId: "", traceFlags: TraceFlags.NONE };
}

/** Without those that have no value. */
function attributesOf(fields: Fields): Attributes {
  return Object.fromEntries(Object.entries(fields).flatMap(([key, value]) => (value == null ? [] : [[key, value]])));
}
