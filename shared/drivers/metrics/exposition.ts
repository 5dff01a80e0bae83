/**
 * What the SDK collected, as text for a scraper: Prometheus' format 0.0.4 or OpenMetrics 1.0.0. Written here, for the SDK's
 * own serializer knows the first alone and leaves units out of names. Names are made as OpenTelemetry's specification says
 * ("Prometheus and OpenMetrics Compatibility"): a unit is the end of a name, a counter's total ends in `_total`.
 */
import type { Attributes } from "@opentelemetry/api";
import type { Histogram, MetricData, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { DataPointType } from "@opentelemetry/sdk-metrics";

import type { MetricsFormat } from "../../domain/metrics-format.ts";

/** Units in braces say what is counted and are no part of a name. */
const UNIT_WORDS: Readonly<Record<string, string>> = { s: "seconds", ms: "milliseconds", By: "bytes" };

export function exposition({ resource, scopeMetrics }: ResourceMetrics, format: MetricsFormat): string {
  const target = format === "openmetrics" ? "# TYPE target info" : "# TYPE target_info gauge";
  const lines = [target, sample("target_info", resource.attributes, 1)];
  for (const { scope, metrics } of scopeMetrics) {
    for (const metric of metrics) lines.push(...familyLines(metric, { otel_scope_name: scope.name }, format));
  }
  if (format === "openmetrics") lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

function familyLines(metric: MetricData, scope: Attributes, format: MetricsFormat): readonly string[] {
  const { description } = metric.descriptor;
  const { family, unit } = familyOf(metric);
  const total = typeOf(metric) === "counter" ? `${family}_total` : family;
  // In OpenMetrics a family goes by its name without the ending of its samples.
  const named = format === "openmetrics" ? family : total;
  const lines = [`# TYPE ${named} ${typeOf(metric)}`];
  if (format === "openmetrics" && unit !== null) lines.push(`# UNIT ${named} ${unit}`);
  lines.push(`# HELP ${named} ${escaped(description)}`);
  for (const { attributes, value } of metric.dataPoints) {
    const labels = { ...attributes, ...scope };
    if (typeof value === "number") lines.push(sample(total, labels, value));
    else if ("buckets" in value && metric.dataPointType === DataPointType.HISTOGRAM)
      lines.push(...histogramLines(family, labels, value, format));
  }
  return lines;
}

function familyOf({ descriptor, ...metric }: MetricData): { readonly family: string; readonly unit: string | null } {
  const name = descriptor.name.replaceAll(/[^a-zA-Z0-9_]+/g, "_");
  const isRatio = descriptor.unit === "1" && metric.dataPointType === DataPointType.GAUGE;
  const unit = isRatio ? "ratio" : (UNIT_WORDS[descriptor.unit] ?? null);
  return { family: unit === null || name.endsWith(`_${unit}`) ? name : `${name}_${unit}`, unit };
}

function typeOf(metric: MetricData): "counter" | "gauge" | "histogram" {
  if (metric.dataPointType === DataPointType.HISTOGRAM) return "histogram";
  return metric.dataPointType === DataPointType.SUM && metric.isMonotonic ? "counter" : "gauge";
}

function histogramLines(
  family: string,
  labels: Attributes,
  value: Histogram,
  format: MetricsFormat,
): readonly string[] {
  const { boundaries, counts } = value.buckets;
  let passed = 0;
  const buckets = counts.map((count, index) => {
    passed += count;
    return sample(`${family}_bucket`, { ...labels, le: boundOf(boundaries[index] ?? Infinity, format) }, passed);
  });
  return [...buckets, sample(`${family}_sum`, labels, value.sum ?? 0), sample(`${family}_count`, labels, value.count)];
}

/** OpenMetrics wants to see that a bound is no whole number by nature: `1.0`. */
function boundOf(bound: number, format: MetricsFormat): string {
  if (bound === Infinity) return "+Inf";
  return format === "openmetrics" && Number.isInteger(bound) ? bound.toFixed(1) : String(bound);
}

function sample(name: string, attributes: Attributes, value: number): string {
  const labels = Object.entries(attributes).map(([label, held]) => {
    const text = typeof held === "string" ? held : JSON.stringify(held);
    return `${label.replaceAll(/[^a-zA-Z0-9_]+/g, "_")}="${escaped(text).replaceAll('"', '\\"')}"`;
  });
  const shown = value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);
  return `${name}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${shown}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
