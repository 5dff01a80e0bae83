/** The condition of the whole deployment, for operators: stores, alerts, and how much flows and waits in each lane. */
import { html } from "hono/html";
import { ALERT_RULES } from "@posthaste/shared/domain/alert-rules.ts";
import type { AlertRules } from "@posthaste/shared/domain/alert-rules.ts";
import { parseBoard } from "@posthaste/shared/domain/alerts.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import type { QueueSample } from "@posthaste/shared/telemetry/queue.ts";
import type { Markup } from "../../html/markup.ts";
import type { Flow, LaneFlow } from "../flow.ts";
import type { PageRequest } from "../page-request.ts";
import type { Column } from "../parts.ts";
import { NOTHING, stateView, tableView, timeView } from "../parts.ts";
import { countText, perTimeText, shareText, spanText } from "../words.ts";
import { flowView, withinText } from "./flow-view.ts";

const rules: AlertRules = ALERT_RULES;

export async function conditionView({ condition, nowMs }: PageRequest): Promise<Markup> {
  const [stores, queues, alerts, flow] = await Promise.all([
    condition.stores(),
    condition.queues().catch(() => []),
    condition.alerts().catch(() => null),
    condition.flow().catch(() => null),
  ]);
  const standing = Object.entries(parseBoard(alerts)).filter(([, { resolvedAtMs }]) => resolvedAtMs === null);
  return html`${standing.length === 0 ? "" : alertsView(standing, nowMs)} ${storesView(stores, standing.length)}
  ${lanesView(queues, flow)}`;
}

type Stores = Awaited<ReturnType<PageRequest["condition"]["stores"]>>;

function storesView({ fault, degraded }: Stores, alertCount: number): Markup {
  if (fault !== null)
    return html`<p class="notice bad" role="alert"><strong>Nothing can be accepted.</strong> ${fault}</p>`;
  if (degraded.length === 0)
    return html`<p class="notice good">
      Events are accepted, and every store answers.${alertCount === 0 ? " No alert stands." : ""}
    </p>`;
  return html`<div class="notice odd">
    <strong>Events are accepted, with a fallback in force.</strong>
    <ul>
      ${degraded.map((each) => html`<li>${each}</li>`)}
    </ul>
  </div>`;
}

type Standing = ReturnType<typeof parseBoard>[string];

function alertsView(standing: readonly (readonly [string, Standing])[], nowMs: number): Markup {
  return html`<div class="notice bad" role="alert">
    <strong>${standing.length === 1 ? "An alert stands" : `${standing.length} alerts stand`}</strong>
    <ul>
      ${standing.map(([name, { sinceMs, value }]) => {
        const rule = rules[name];
        const since = timeView(new Date(sinceMs).toISOString(), nowMs);
        return html`<li>
          <strong>${name}</strong> (${rule?.severity ?? "warning"}), began ${since}, ${Math.round(value * 10) / 10}
          ${rule?.unit ?? ""}. ${rule?.sentence ?? ""}
        </li>`;
      })}
    </ul>
  </div>`;
}

interface LaneRow {
  readonly lane: string;
  readonly flow: LaneFlow | null;
  readonly queue: QueueSample | null;
}

function lanesView(queues: readonly QueueSample[], flow: Flow | null): Markup {
  const queueOf = (name: string): QueueSample | null => queues.find(({ queue }) => queue === name) ?? null;
  const rows: readonly LaneRow[] = LANES.map((lane) => ({
    lane,
    flow: flow?.lanes.find((each) => each.lane === lane) ?? null,
    queue: queueOf(lane),
  }));
  const columns: readonly Column<LaneRow>[] = [
    { name: "Lane", show: ({ lane }) => html`<strong>${lane.toUpperCase()}</strong>` },
    { name: "Waiting", show: ({ queue }) => (queue === null ? "not known" : countText(queue.depth)) },
    { name: "The oldest waits for", show: ({ queue }) => (queue?.lagMs == null ? "" : spanText(queue.lagMs)) },
    { name: "Accepted", show: ({ flow: lane }) => rateText(lane?.acceptedPerS) },
    { name: "Delivered", show: ({ flow: lane }) => rateText(lane?.deliveredPerS) },
    { name: "Success", show: ({ flow: lane }) => successView(lane) },
    { name: "Time to a 2xx", show: ({ flow: lane }) => (lane?.within == null ? NOTHING : withinText(lane.within)) },
  ];
  const others = [
    ["retry", "wait for their next attempt"],
    ["dead", "dead or held"],
    ["spool", "kept in Redis while Kafka is away"],
    ["ledger", "not yet in the history"],
  ] as const;
  const told = others.flatMap(([name, words]) => {
    const depth = queueOf(name)?.depth ?? 0;
    return depth === 0 ? [] : [`${countText(depth)} ${words}`];
  });
  return html`<h2>Lanes</h2>
    ${tableView("Lanes", columns, rows)}
    <p class="quiet">
      ${flow === null ? "The rates are not known now: the stats cannot be read." : `Of the whole deployment: rates of the last ${spanText(flow.rateSpanMs)}, success and times of the last hour.`}
      ${told.length === 0 ? "" : `Beside the lanes: ${told.join(", ")}.`}
    </p>
    ${flow === null ? "" : flowView(flow)}`;
}

function rateText(perS: number | undefined): string {
  if (perS === undefined) return "";
  return perS === 0 ? "none" : perTimeText(perS);
}

function successView(flow: LaneFlow | null): Markup | string {
  const total = (flow?.delivered ?? 0) + (flow?.failed ?? 0);
  if (flow === null || total === 0) return "";
  const text = shareText(flow.delivered, total);
  return flow.failed === 0
    ? html`${stateView("delivered")} ${text}`
    : html`${text} <span class="quiet">(${countText(flow.failed)} failed)</span>`;
}
