/** The two text formats of `/metrics`, and which of them a scraper is answered in. */
import type { Clock } from "../lib/ambient.ts";
import { brieflyKept } from "../lib/briefly-kept.ts";

/** Prometheus' text exposition format 0.0.4, and OpenMetrics 1.0.0. */
export type MetricsFormat = "prometheus" | "openmetrics";

const CONTENT_TYPES = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const satisfies Record<MetricsFormat, string>;

/** Nobody needs a key for /metrics, so its text is made no more often. */
const KEPT_MS = 1000;

export interface MetricsPage {
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Answers the value of an `Accept` field with the page in the format that it wants more. */
export function createMetricsPage(
  collect: (format: MetricsFormat) => Promise<string>,
  clock: Pick<Clock, "monotonic">,
): (accept: string | null) => Promise<MetricsPage> {
  const kept = {
    prometheus: brieflyKept(() => collect("prometheus"), { clock, keepMs: KEPT_MS }),
    openmetrics: brieflyKept(() => collect("openmetrics"), { clock, keepMs: KEPT_MS }),
  };
  return async (accept) => {
    const format = formatFor(accept);
    const text = await kept[format]();
    return { headers: { "content-type": CONTENT_TYPES[format], "cache-control": "no-store", vary: "accept" }, text };
  };
}

/** OpenMetrics only for whoever names it, and wants it no less than plain text (RFC 9110 section 12.5.1). */
export function formatFor(accept: string | null): MetricsFormat {
  let [named, plain] = [0, 0];
  for (const range of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const of = new Map(
      parameters.map((parameter) => parameter.split("=").map((part) => part.trim()) as [string, string]),
    );
    const weight = Number(of.get("q") ?? 1);
    const isOurs = (of.get("version") ?? "1.0.0") === "1.0.0";
    if (type === "application/openmetrics-text" && isOurs) named = Math.max(named, weight);
    if (type === "text/plain") plain = Math.max(plain, weight);
  }
  return named > 0 && named >= plain ? "openmetrics" : "prometheus";
}
