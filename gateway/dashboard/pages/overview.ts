/** `/dashboard`: how it goes, and what to do next. */
import { html } from "hono/html";
import type { Markup } from "../../html/markup.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { can, isOperator } from "../page-request.ts";
import { emptyView, hrefOf, listedTenant, NOTHING, tableView } from "../parts.ts";
import { countText, manyText } from "../words.ts";
import { conditionView } from "./condition-view.ts";
import type { WithStats } from "./endpoint-health.ts";
import { troubleOf, withStats } from "./endpoint-health.ts";
import { endpointTable } from "./endpoints.ts";
import type { EventListRow } from "./events.ts";
import { eventTable } from "./events.ts";
import { publishHint } from "./publish-hint.ts";

/** Of endpoints, each with its counts. */
const ENDPOINTS = "12";
const EVENTS = "8";
/** Counted so far; a store reads each with its body. */
const LETTERS = "20";
const TYPES_MAX = 8;

export const overviewPages: readonly PageRule[] = [
  { method: "GET", path: "/dashboard", scope: "read", section: "overview", show: overview },
];

async function overview(request: PageRequest): Promise<Shown> {
  const { api, caller } = request;
  const tenant = listedTenant(request);
  const [endpoints, events, letters] = await Promise.all([
    api.ask("GET /v1/endpoints", { query: { tenant, limit: ENDPOINTS } }),
    api.ask("GET /v1/events", { query: { tenant, limit: EVENTS } }),
    api.ask("GET /v1/dead-letters", { query: { tenant, limit: LETTERS } }),
  ]);
  const rows = endpoints.kind === "done" ? await withStats(api, endpoints.value.data, isOperator(caller)) : [];
  const latest = events.kind === "done" ? events.value.data : [];
  const dead = letters.kind === "done" ? letters.value : null;
  const refused = [endpoints, events, letters].flatMap((each) =>
    each.kind === "refused" ? [each.problem.detail] : [],
  );
  const isEmpty = rows.length === 0 || latest.length === 0;
  const body = html`${isEmpty && refused.length === 0 ? nextSteps(request, rows.length > 0, latest.length > 0) : ""}
  ${isOperator(caller) ? await conditionView(request) : ""}
  ${[...new Set(refused)].map((detail) => html`<p class="notice odd" role="status">${detail}</p>`)}
  ${dead === null || dead.data.length === 0 ? "" : deadView(dead.data.length, dead.next_cursor !== null)}
  ${rows.length === 0 ? "" : endpointsView(request, rows, endpoints.kind === "done" && endpoints.value.next_cursor !== null)}
  ${latest.length === 0 ? "" : eventsView(request, latest)} ${await typesView(request)}`;
  return { kind: "page", title: "Overview", body };
}

function nextSteps(request: PageRequest, hasEndpoint: boolean, hasEvent: boolean): Markup {
  const mayCreate = can(request.caller, "manage");
  const steps = html`<ol>
    ${hasEndpoint ? "" : html`<li>Create an endpoint: the URL that gets the events. ${mayCreate ? html`<a href="/dashboard/endpoints/new">Create one</a>` : "It takes a key that may manage."}</li>`}
    ${hasEvent ? "" : html`<li>${publishHint(request)}</li>`}
    <li>Watch it arrive: <a href="/dashboard/live">what happens, live</a>.</li>
  </ol>`;
  return emptyView("What to do next", steps);
}

function deadView(count: number, isMore: boolean): Markup {
  const many = `${manyText(count, "delivery", "deliveries")}${isMore ? " and more" : ""}`;
  return html`<p class="notice odd">
    <strong>${many}</strong> will not be made without somebody's doing: dead, or held for an endpoint.
    <a href="/dashboard/dead-letters">Look at them</a>
  </p>`;
}

/** Those in trouble first. */
function endpointsView(request: PageRequest, rows: readonly WithStats[], isMore: boolean): Markup {
  const sorted = rows.toSorted((left, right) => troubleOf(right) - troubleOf(left));
  return html`<h2>Endpoints</h2>
    ${endpointTable(request, "those in trouble", sorted)}
    <p>
      <a href="/dashboard/endpoints">${isMore ? "All endpoints" : "To the endpoints"}</a> ·
      <a href="/dashboard/endpoints?status=disabled">Disabled ones</a>
    </p>`;
}

function eventsView(request: PageRequest, latest: readonly EventListRow[]): Markup {
  return html`<h2>Latest events</h2>
    ${eventTable(request, latest)}
    <p><a href="/dashboard/events">All events</a> · <a href="/dashboard/events?state=dead">Dead ones</a></p>`;
}

/** Of one tenant: a tenant key's own, or the one that an operator names. */
async function typesView({ caller, query, drivers }: PageRequest): Promise<Markup> {
  const tenant = caller.tenant ?? query.get("tenant");
  if (tenant === undefined || tenant === "") return NOTHING;
  const stats = await drivers.stats.tenant(tenant).catch(() => null);
  if (stats === null || stats.totalEvents === 0) return NOTHING;
  const types = Object.entries(stats.byType)
    .toSorted(([, left], [, right]) => right - left)
    .slice(0, TYPES_MAX);
  const columns = [
    {
      name: "Type",
      show: ([type]: [string, number]) => html`<a href="${hrefOf("/dashboard/events", { type })}">${type}</a>`,
    },
    { name: "Events", show: ([, count]: [string, number]) => countText(count) },
  ];
  return html`<h2>Accepted in 24 hours: ${countText(stats.totalEvents)}</h2>
    ${tableView("Event types by count", columns, types)}`;
}
