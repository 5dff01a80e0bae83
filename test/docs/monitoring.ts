/** The Prometheus rules and the Grafana dashboard of docs/monitoring, made from the alert rules that processors go by. */
import type { AlertRule, Measure } from "@posthaste/shared/domain/alert-rules.ts";
import { ALERT_RULES } from "@posthaste/shared/domain/alert-rules.ts";

const queue = (name: string, of: string): string => `max(posthaste_queue_${name}{queue="${of}"})`;
const growth = (of: string): string =>
  `(${queue("depth", of)} - ${queue("depth", of).replace("})", "} offset 10m)")}) / 10`;

/** The measure as a query over what `/metrics` shows of all processes. */
const QUERIES = {
  "age.high": queue("lag_seconds", "high"),
  "age.medium": queue("lag_seconds", "medium"),
  "age.low": queue("lag_seconds", "low"),
  "lag.high": queue("depth", "high"),
  "lag.medium": queue("depth", "medium"),
  "lag.low": queue("depth", "low"),
  "retry.growth": growth("retry"),
  "dead.growth": growth("dead"),
  fallbacks: "max(posthaste_fallbacks)",
  "stores.down": "max(1 - posthaste_store_up)",
  "loops.failed": "sum(rate(posthaste_loop_restarts_total[10m])) * 60",
} as const satisfies Record<Measure, string>;

/** JSON strings are YAML strings. */
const text = (words: string): string => JSON.stringify(words);

export function prometheusRules(): string {
  const rules = Object.entries<AlertRule>(ALERT_RULES).map(([name, rule]) =>
    alert(name, `${QUERIES[rule.measure]} >= ${rule.firesAt}`, rule),
  );
  const disabled = alert("endpoint-disabled", "sum(increase(posthaste_endpoints_disabled_total[10m])) > 0", {
    forS: 0,
    resolveForS: 0,
    severity: "warning",
    sentence: "An endpoint was disabled. GET /v1/endpoints?status=disabled&tenant=* says which and why.",
  });
  return `# Made from shared/domain/alert-rules.ts: change it there, and run: bun test/docs/write-monitoring.ts
groups:
  - name: posthaste
    rules:
${[...rules, disabled].join("")}`;
}

function alert(
  name: string,
  query: string,
  { forS, resolveForS, severity, sentence }: Pick<AlertRule, "forS" | "resolveForS" | "severity" | "sentence">,
): string {
  const title = `Posthaste${name.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())}`;
  return `      - alert: ${title}
        expr: ${text(query)}
        for: ${forS}s
        keep_firing_for: ${resolveForS}s
        labels:
          severity: ${severity}
          rule: ${name}
        annotations:
          summary: ${text(sentence)}
`;
}

/** A panel for each of these, the thresholds of the rules among them. */
const PANELS: readonly (readonly [title: string, query: string, unit: string, legend: string])[] = [
  [
    "Age of the oldest event",
    'max by (queue) (posthaste_queue_lag_seconds{queue=~"high|medium|low"})',
    "s",
    "{{queue}}",
  ],
  ["Events that wait", 'max by (queue) (posthaste_queue_depth{queue=~"high|medium|low"})', "short", "{{queue}}"],
  ["Retry queue and dead letters", 'max by (queue) (posthaste_queue_depth{queue=~"retry|dead"})', "short", "{{queue}}"],
  ["Accepted", "sum by (priority) (rate(posthaste_events_accepted_total[5m]))", "reqps", "{{priority}}"],
  ["Deliveries", "sum by (outcome) (rate(posthaste_deliveries_total[5m]))", "reqps", "{{outcome}}"],
  [
    "From acceptance to the 2xx, p99",
    "histogram_quantile(0.99, sum by (lane, le) (rate(posthaste_delivery_duration_seconds_bucket[5m])))",
    "s",
    "{{lane}}",
  ],
  ["Stores", "min by (store) (posthaste_store_up)", "short", "{{store}}"],
  ["Fallbacks", "max by (fallback) (posthaste_fallbacks)", "short", "{{fallback}}"],
  ["Endpoints", "max by (status) (posthaste_endpoints)", "short", "{{status}}"],
  ["Failing loops, in a minute", "sum by (loop) (rate(posthaste_loop_restarts_total[10m])) * 60", "short", "{{loop}}"],
  ["Alerts", 'sum by (rule, severity) (ALERTS{alertname=~"Posthaste.*",alertstate="firing"})', "short", "{{rule}}"],
];

/** https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */
export function grafanaDashboard(): string {
  const source = { type: "prometheus", uid: "${source}" };
  const panels = PANELS.map(([title, expr, unit, legendFormat], index) => ({
    id: index + 1,
    type: "timeseries",
    title,
    datasource: source,
    gridPos: { h: 8, w: 12, x: 12 * (index % 2), y: 8 * Math.floor(index / 2) },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    targets: [{ refId: "A", datasource: source, expr, legendFormat }],
  }));
  const templating = { list: [{ name: "source", type: "datasource", query: "prometheus" }] };
  const dashboard = {
    uid: "posthaste",
    title: "Posthaste",
    tags: ["posthaste"],
    schemaVersion: 39,
    time: { from: "now-6h", to: "now" },
    refresh: "30s",
    templating,
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
