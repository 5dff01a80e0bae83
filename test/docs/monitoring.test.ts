/** docs/monitoring is what the alert rules make of it, and asks for nothing that `/metrics` does not show. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { AlertRule } from "@posthaste/shared/domain/alert-rules.ts";
import { ALERT_RULES } from "@posthaste/shared/domain/alert-rules.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { exerciseTelemetry } from "./exercise-telemetry.ts";
import { grafanaDashboard, prometheusRules } from "./monitoring.ts";

const read = (name: string): string => readFileSync(new URL(`../../docs/monitoring/${name}`, import.meta.url), "utf8");
const REMEDY = "run: bun test/docs/write-monitoring.ts";

test("the Prometheus rules and the dashboard are those that the alert rules make", () => {
  assert.equal(read("posthaste.rules.yml"), prometheusRules(), REMEDY);
  assert.equal(read("grafana-dashboard.json"), grafanaDashboard(), REMEDY);
});

/** Strings of JSON, which YAML reads as they are. */
function expressions(): readonly string[] {
  const rules = [...read("posthaste.rules.yml").matchAll(/^ {8}expr: (".*")$/gm)].map(([, text = ""]) => text);
  const dashboard = JSON.parse(read("grafana-dashboard.json")) as { panels: { targets: { expr: string }[] }[] };
  const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  assert.ok(queries.length > 5);
  return [...rules.map((text) => JSON.parse(text) as string), ...queries];
}

test("each rule has its alert with threshold, times, severity and sentence", () => {
  const text = read("posthaste.rules.yml");
  const alerts = text.split("      - alert: ").slice(1);
  assert.equal(alerts.length, Object.keys(ALERT_RULES).length + 1);
  for (const [name, rule] of Object.entries<AlertRule>(ALERT_RULES)) {
    const alert = alerts.find((each) => each.includes(`          rule: ${name}\n`)) ?? assert.fail(name);
    assert.match(alert, new RegExp(`>= ${rule.firesAt}"\n`), name);
    assert.match(alert, new RegExp(` for: ${rule.forS}s\n +keep_firing_for: ${rule.resolveForS}s\n`), name);
    assert.ok(alert.includes(`severity: ${rule.severity}\n`) && alert.includes(JSON.stringify(rule.sentence)), name);
  }
});

test("every metric and label of an expression is one that /metrics shows", async () => {
  await using metrics = openMetrics(systemClock, {});
  exerciseTelemetry(metrics.meter);
  const shown = await metrics.collect("prometheus");
  for (const expression of expressions()) {
    assert.equal(expression.split("(").length, expression.split(")").length, expression);
    for (const [, name = "", labels = ""] of expression.matchAll(/(posthaste_\w+)(?:\{([^}]*)\})?/g)) {
      const series = shown.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      assert.ok(series.length > 0, `${name} in ${expression}`);
      const wanted = [
        ...labels.matchAll(/(\w+)=/g),
        ...(expression.match(/by \(([\w, ]+)\)/)?.[1] ?? "").matchAll(/(\w+)/g),
      ];
      for (const [, label = ""] of wanted)
        assert.ok(
          series.some((line) => line.includes(`${label}="`)),
          `${label} of ${name}`,
        );
    }
  }
});
