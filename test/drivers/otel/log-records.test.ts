/** A log line as a record of OpenTelemetry. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecordLog } from "@posthaste/shared/drivers/otel/log-records.ts";
import { bothLogs } from "@posthaste/shared/telemetry/log.ts";
import type { Level, Log } from "@posthaste/shared/telemetry/log.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
type Deps = Parameters<typeof createRecordLog>[0];
type Written = Parameters<Deps["add"]>[0];
/** Handed on as it is. */
const resource = {} as unknown as Deps["resource"];

function openLog(levels: readonly Level[]) {
  const records: Written[] = [];
  const log = createRecordLog({
    clock: { now: () => 1_750_000_000_123.25 },
    isEnabled: (level) => levels.includes(level),
    resource,
    add: (record) => void records.push(record),
  });
  return { log, records };
}

test("a record has the name, the level, the fields that have a value, and the trace of its event", () => {
  const { log, records } = openLog(["warn"]);
  log.write("warn", "delivery.dead", { event_id: "evt_1", reason: null, attempt: 3, trace_id: TRACE, more: undefined });
  const [written] = records;
  assert.ok(written !== undefined);
  const { hrTime, hrTimeObserved, ...record } = written;
  assert.deepEqual([hrTime, hrTimeObserved], [[1_750_000_000, 123_250_000], hrTime]);
  assert.deepEqual(record, {
    severityNumber: 13,
    severityText: "warn",
    eventName: "delivery.dead",
    body: "delivery.dead",
    attributes: { event_id: "evt_1", attempt: 3 },
    droppedAttributesCount: 0,
    resource,
    instrumentationScope: { name: "posthaste" },
    spanContext: { traceId: TRACE, spanId: "", traceFlags: 0 },
  });
});

test("what is no id of a trace stays a field, and levels that are off make no record", () => {
  const { log, records } = openLog(["error"]);
  log.write("info", "a", {});
  for (const odd of ["0".repeat(32), TRACE.slice(1), `${TRACE}0`, TRACE.toUpperCase()])
    log.write("error", "b", { trace_id: odd });
  assert.deepEqual(
    records.map(({ spanContext, attributes }) => [spanContext, String(attributes["trace_id"]).length]),
    [32, 31, 33, 32].map((length) => [undefined, length]),
  );
});

test("of two logs each gets what it is enabled for", () => {
  const written: string[] = [];
  const logOf = (name: string, enabled: Level): Log => ({
    isEnabled: (level) => level === enabled,
    write: (level) => void (level === enabled && written.push(name)),
  });
  const both = bothLogs(logOf("one", "info"), logOf("other", "error"));
  for (const level of ["debug", "info", "error"] as const) if (both.isEnabled(level)) both.write(level, "x", {});
  assert.deepEqual(written, ["one", "other"]);
});
