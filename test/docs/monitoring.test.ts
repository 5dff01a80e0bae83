/** docs/monitoring is what the alert rules make of it, and asks for nothing that `/metrics` does not show. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { AlertRule } from "@posthaste/shared/domain/alert-rules.ts";
import { ALERT_RULES } from "@posthaste/shared/domain/alert-rules.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { requireCollector } from "../support/services/collector-binary.ts";
import { requirePromtool } from "../support/services/debian-packages.ts";
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

const folder = fileURLToPath(new URL("../../docs/monitoring/", import.meta.url));

/** Exits with 0, or fails with what it says. */
function accepts(binary: string, ...args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(binary, args, { cwd: folder, encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, error?.message ?? `${stdout}${stderr}`);
}

test("Prometheus' own tool takes the rules, and the settings of the compose profile", () => {
  requirePromtool();
  accepts("promtool", "check", "rules", "posthaste.rules.yml");
  accepts("promtool", "check", "config", "prometheus.yml");
});

test("OpenTelemetry's own collector takes the settings of the compose profile", () => {
  accepts(requireCollector(), "validate", "--config", "collector.yaml");
});

test("what the compose profile mounts is there, and it scrapes the ports that the programs listen on", () => {
  const compose = readFileSync(new URL("../../docker-compose.yml", import.meta.url), "utf8");
  const mounted = [...compose.matchAll(/- \.\/docs\/monitoring\/(\S+?):/g)].map(([, name = ""]) => name);
  assert.deepEqual(mounted.toSorted(), readdirSync(folder).toSorted());
  const ports = [...compose.matchAll(/(?:PROCESSOR_)?PORT: "(\d+)"/g)].map(([, port]) => port);
  const scraped = [...read("prometheus.yml").matchAll(/port: (\d+)/g)].map(([, port]) => port);
  assert.deepEqual(scraped, ports);
});
