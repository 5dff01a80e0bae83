/** What no collector got, counted when metrics are collected. */
import type { Meter } from "@opentelemetry/api";

/** Why it was lost: the queue before the exporter was full, or the collector did not take it. */
export type ExportLoss = "queue-full" | "not-exported";

export type Losses = Readonly<Record<ExportLoss, number>>;

const WHYS = ["queue-full", "not-exported"] as const satisfies readonly ExportLoss[];

/** `lost`: since the start; null when nothing is exported. */
export function countLosses(
  meter: Pick<Meter, "createObservableCounter">,
  name: string,
  options: { readonly unit: string; readonly description: string },
  lost: (() => Losses) | null,
): void {
  const losses = meter.createObservableCounter(name, options);
  if (lost === null) return;
  losses.addCallback((result) => {
    const now = lost();
    for (const why of WHYS) result.observe(now[why], { why });
  });
}
