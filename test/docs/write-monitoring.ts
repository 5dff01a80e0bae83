/** Writes docs/monitoring anew, and the rules once more for the chart, which takes no file from outside. */
import { writeFileSync } from "node:fs";
import { grafanaDashboard, prometheusRules } from "./monitoring.ts";

const folder = new URL("../../docs/monitoring/", import.meta.url);
writeFileSync(new URL("posthaste.rules.yml", folder), prometheusRules());
writeFileSync(new URL("../../deploy/helm/posthaste/files/posthaste.rules.yml", folder), prometheusRules());
writeFileSync(new URL("grafana-dashboard.json", folder), grafanaDashboard());
