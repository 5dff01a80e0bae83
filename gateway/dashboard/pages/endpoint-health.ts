/** How endpoints do, from their status and the counts of the last 24 hours. */
import { html } from "hono/html";
import type { EndpointView, StatsView } from "../../answers/endpoints.ts";
import type { Markup } from "../../html/markup.ts";
import type { Api } from "../api.ts";
import { NOTHING, stateView, timeView } from "../parts.ts";
import { countText, manyText, shareText } from "../words.ts";

export interface WithStats {
  readonly endpoint: EndpointView;
  /** Null when its counts could not be read. */
  readonly stats: StatsView | null;
}

export async function withStats(
  api: Api,
  endpoints: readonly EndpointView[],
  isForOperator: boolean,
): Promise<readonly WithStats[]> {
  return await Promise.all(
    endpoints.map(async (endpoint) => {
      const query = { tenant: isForOperator ? endpoint.tenant : null };
      const asked = await api.ask("GET /v1/endpoints/:id/stats", { id: endpoint.id, query });
      return { endpoint, stats: asked.kind === "done" ? asked.value : null };
    }),
  );
}

export function healthView(
  { status, failing_since: failing }: EndpointView,
  stats: StatsView | null,
  nowMs: number,
): Markup {
  if (status !== "active") return stateView(status);
  if (failing !== null) return html`${stateView("failing")} since ${timeView(failing, nowMs)}`;
  return stateView(isFailing(stats) ? "failing" : status);
}

function isFailing(stats: StatsView | null): boolean {
  return stats !== null && stats.delivered === 0 && stats.retried + stats.dead > 0;
}

/** More is worse, by the state that the list shows. */
export function troubleOf({ endpoint: { status, failing_since: failing }, stats }: WithStats): number {
  if (status === "disabled") return 3;
  if (status === "paused") return 1;
  return failing !== null || isFailing(stats) ? 2 : 0;
}

export function successView(stats: StatsView | null): Markup {
  if (stats === null) return html`<span class="quiet">not known</span>`;
  if (stats.attempts === 0) return html`<span class="quiet">no attempt</span>`;
  return html`<span class="number">${countText(stats.delivered)}</span>
    <span class="quiet"
      >of ${manyText(stats.attempts, "attempt")}, ${shareText(stats.delivered, stats.attempts)}</span
    >`;
}

export function reasonView(
  { status, status_reason: reason, status_since: since, failing_since: failing }: EndpointView,
  stats: StatsView | null,
  nowMs: number,
): Markup {
  if (status === "active") {
    if (failing !== null) return html`No attempt has succeeded since then. Its answers are below.`;
    return isFailing(stats) ? html`No attempt of the last 24 hours succeeded. Its answers are below.` : NOTHING;
  }
  const then =
    status === "paused" ? "What comes meanwhile is held." : "What comes meanwhile is held until it is enabled.";
  return html`${reason ?? ""}, ${timeView(since, nowMs)}. ${then}`;
}
