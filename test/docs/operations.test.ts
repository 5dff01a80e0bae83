/** docs/operations.md names every metric and every log event that the code can produce, and none that it cannot. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { exerciseTelemetry, recordingMeter } from "./exercise-telemetry.ts";
import { logCalls, sources } from "./log-calls.ts";

const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");

/** Cells of the rows below the given heading; a row begins with a name in back-ticks. */
function rowsUnder(heading: string): readonly (readonly string[])[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^\| `[^|]*\|.*\|$/gm)].map(([row]) => row.split("|").slice(1, -1).map(clean));
}

const clean = (cell: string): string => cell.trim().replace(/^`([^`]*)`$/, "$1");
const namesIn = (cell = ""): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
const withTicks = (cell = ""): readonly string[] =>
  cell === "none" ? [] : cell.includes("`") ? namesIn(cell) : [cell];

test("docs/operations.md has one row for each metric, with its type and unit", async () => {
  await using metrics = openMetrics(systemClock, {});
  const made = recordingMeter(metrics.meter);
  exerciseTelemetry(made.meter);
  const expected = made.instruments().map(({ name, type, unit }) => `${name} ${type} ${unit}`);
  assert.ok(expected.length > 10, "the telemetry makes its instruments");
  const documented = rowsUnder("Metrics").map(([name, type, unit]) => `${name} ${type} ${unit}`);
  assert.deepEqual(documented.toSorted(), expected.toSorted());
});

test("docs/operations.md names each metric's labels, and says what it means", async () => {
  await using metrics = openMetrics(systemClock, {});
  exerciseTelemetry(metrics.meter);
  const labels = labelsIn(await metrics.collect("prometheus"));
  for (const [name = "", type = "", unit = "", documented, meaning = ""] of rowsUnder("Metrics")) {
    const shown = shownName(name, type, unit);
    const expected = labels.get(shown);
    assert.ok(expected !== undefined, `${name} does not show as ${shown}`);
    const words = withTicks(documented).map((label) => label.replaceAll(".", "_"));
    assert.deepEqual(words.toSorted(), [...expected].toSorted(), name);
    assert.match(meaning, /^[`A-Z].{30,}\.$/, name);
  }
});

test("docs/operations.md has one row for each log event, with its level", async () => {
  await using metrics = openMetrics(systemClock, {});
  const calls = logCalls();
  const emitted = [...calls.literal, ...exerciseTelemetry(metrics.meter)];
  const expected = new Set(emitted.map(({ level, event }) => `${event} ${level}`));
  assert.ok(expected.size > 20, "log events are found");
  const documented = rowsUnder("Log").map(([event, level]) => `${event} ${level}`);
  assert.deepEqual(documented.toSorted(), [...expected].toSorted());
});

test("instruments are made by the telemetry alone", () => {
  const others = sources().filter(({ path, text }) => {
    return (
      !path.startsWith("shared/telemetry/") &&
      /\.create(?:Observable)?(?:Counter|UpDownCounter|Gauge|Histogram)\(/.test(text)
    );
  });
  assert.deepEqual(
    others.map(({ path }) => path),
    [],
  );
});

test("a log event's name is written out, unless a helper of the telemetry makes it from a state", () => {
  const computed = logCalls().computed.filter(({ path }) => !path.startsWith("shared/telemetry/"));
  assert.deepEqual(computed, []);
});

test("every helper of the telemetry is called here, so that no name is overlooked", async () => {
  await using metrics = openMetrics(systemClock, {});
  const called: string[] = [];
  exerciseTelemetry(metrics.meter, (name) => called.push(name));
  const { log: _log, ...subjects } = silentTelemetry;
  const all = Object.entries(subjects).flatMap(([subject, helpers]) =>
    Object.keys(helpers).map((helper) => `${subject}.${helper}`),
  );
  assert.deepEqual([...new Set(called)].toSorted(), all.toSorted());
});

/** As the paragraph above the table tells it. */
function shownName(name: string, type: string, unit: string): string {
  const word = { s: "_seconds", By: "_bytes", "1": "_ratio" }[unit] ?? "";
  const stem = name.replaceAll(".", "_");
  return stem + (stem.endsWith(word) ? "" : word) + (type === "counter" ? "_total" : "");
}

/** Label names of each metric in the text format; the bucket's bound and the scope are not labels of ours. */
function labelsIn(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const [, series = "", attributes = ""] of text.matchAll(/^(\w+)\{(.*)\} \S+$/gm)) {
    const name = series.replace(/_(?:bucket|sum|count)$/, "");
    const names = found.get(name) ?? new Set();
    found.set(name, names);
    for (const [, label = ""] of attributes.matchAll(/(\w+)="/g)) {
      if (label !== "le" && !label.startsWith("otel_scope")) names.add(label);
    }
  }
  return found;
}
