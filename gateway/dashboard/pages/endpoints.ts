/** `/dashboard/endpoints`: the list with the health of each, and one endpoint with what it is set to, did, and is asked to do. */
import { html } from "hono/html";
import type * as v from "valibot";
import { ENDPOINT_STATUSES } from "@posthaste/shared/domain/endpoint.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { EndpointView, StatsView } from "../../answers/endpoints.ts";
import type { AttemptList } from "../../answers/events.ts";
import type { Markup } from "../../html/markup.ts";
import { valueOf } from "../api.ts";
import { filterForm } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { can, isOperator } from "../page-request.ts";
import type { Column } from "../parts.ts";
import {
  emptyView,
  factsView,
  hrefOf,
  idView,
  listedTenant,
  namedTenant,
  NOTHING_YET,
  pagerView,
  problemView,
  tableView,
  thingHref,
  tilesView,
  timeView,
} from "../parts.ts";
import { countText, manyText, shareText, spanText } from "../words.ts";
import { attemptTable } from "./delivery-view.ts";
import { actionsView, doneView, listedTypes } from "./endpoint-actions.ts";
import type { WithStats } from "./endpoint-health.ts";
import { healthView, reasonView, successView, withStats } from "./endpoint-health.ts";
import { nowView } from "./endpoint-now.ts";

const PATH = "/dashboard/endpoints";
/** Of one page of the list: the counts of each are asked for. */
const ROWS = "20";

export const endpointPages: readonly PageRule[] = [
  { method: "GET", path: PATH, scope: "read", section: "endpoints", show: listEndpoints },
  {
    method: "GET",
    path: `${PATH}/:id`,
    scope: "read",
    section: "endpoints",
    show: (request) => showEndpoint(request, null),
  },
];

async function listEndpoints(request: PageRequest): Promise<Shown> {
  const { api, query, caller } = request;
  const value = (name: string): string => query.get(name) ?? "";
  const wish = { status: value("status"), tenant: listedTenant(request), cursor: value("cursor"), limit: ROWS };
  const listed = await api.ask("GET /v1/endpoints", { query: wish });
  const problem = listed.kind === "refused" ? listed.problem : null;
  const rows = listed.kind === "done" ? await withStats(api, listed.value.data, isOperator(caller)) : [];
  const next = listed.kind === "done" ? listed.value.next_cursor : null;
  const fields = [
    {
      name: "status",
      label: "Status",
      value: value("status"),
      options: [["", "any"], ...ENDPOINT_STATUSES.map((status) => [status, status] as const)] as const,
    },
    ...(isOperator(caller) ? [{ name: "tenant", label: "Tenant", value: value("tenant"), placeholder: "all" }] : []),
  ];
  const isFiltered = value("status") !== "" || value("tenant") !== "";
  const body = html`${
    can(caller, "manage")
      ? html`<p class="lead"><a class="button main" href="${PATH}/new">Create an endpoint</a></p>`
      : ""
  }
  ${rows.length > 0 || isFiltered || problem !== null ? filterForm(PATH, fields, problem) : ""}
  ${problemView(problem, ["tenant"])}
  ${problem !== null ? "" : rows.length > 0 ? endpointTable(request, "oldest", rows) : next === null ? noneView(request, isFiltered) : NOTHING_YET}
  ${pagerView(PATH, Object.fromEntries(query), next)}`;
  return { kind: "page", status: problem?.status ?? 200, title: "Endpoints", body };
}

export function endpointTable(request: PageRequest, order: string, rows: readonly WithStats[]): Markup {
  const { nowMs } = request;
  const columns: readonly Column<WithStats>[] = [
    {
      name: "Endpoint",
      show: ({ endpoint: { id, tenant, url, description } }) =>
        html`<a href="${thingHref(request, `${PATH}/${id}`, tenant)}">${url}</a
          >${description === "" ? "" : html`<br /><span class="quiet">${description}</span>`}`,
    },
    { name: "State", show: ({ endpoint, stats }) => healthView(endpoint, stats, nowMs) },
    ...(isOperator(request.caller) ? [{ name: "Tenant", show: ({ endpoint }: WithStats) => endpoint.tenant }] : []),
    { name: "Event types", show: ({ endpoint }) => endpoint.event_types.join(", ") },
    { name: "Delivered, 24 h", show: ({ stats }) => successView(stats) },
    { name: "Last attempt", show: ({ stats }) => timeView(stats?.last_attempt_at ?? null, nowMs) },
  ];
  return tableView(`Endpoints, ${order} first`, columns, rows);
}

function noneView({ caller }: PageRequest, isFiltered: boolean): Markup {
  if (isFiltered) return emptyView("No endpoint fits", html`<p>Widen the filter.</p>`);
  const what = can(caller, "manage")
    ? html`<p>
        Create one: a URL that gets the events of the types that you choose, each signed with a secret of its own.
      </p>`
    : html`<p>Your key may only look. Ask somebody whose key may <code>manage</code> to create one.</p>`;
  return emptyView("No endpoint yet", what);
}

/** `refusal` is of the last try to change something. */
export async function showEndpoint(request: PageRequest, refusal: Problem | null): Promise<Shown> {
  const { api, caller, nowMs } = request;
  const id = request.param("id");
  const query = { tenant: namedTenant(request) };
  const endpoint = valueOf(await api.ask("GET /v1/endpoints/:id", { id, query }));
  const outcome = request.query.get("outcome") === "failed" ? "failed" : null;
  const mayChange = can(caller, "manage");
  const [stats, attempts, types, done] = await Promise.all([
    api.ask("GET /v1/endpoints/:id/stats", { id, query }),
    api.ask("GET /v1/endpoints/:id/attempts", {
      id,
      query: { ...query, outcome, cursor: request.query.get("cursor") ?? null },
    }),
    mayChange && endpoint.status === "active" ? listedTypes(request) : [],
    doneView(request, endpoint),
  ]);
  const counts = stats.kind === "done" ? stats.value : null;
  const isNewest = outcome === null && request.query.get("cursor") === undefined;
  const body = html`${problemView(refusal, ["type"])} ${done}
    <p>${healthView(endpoint, counts, nowMs)} ${reasonView(endpoint, counts, nowMs)}</p>
    ${settingsView(endpoint, nowMs)} ${mayChange ? actionsView(request, endpoint, { refusal, types }) : ""}
    ${nowView(counts, isNewest && attempts.kind === "done" ? attempts.value : null, nowMs)}
    <h2>The last 24 hours</h2>
    ${counts === null ? html`<p class="quiet">They are not known now.</p>` : statsTiles(counts)}
    <p>
      <a href="${hrefOf("/dashboard/dead-letters", { endpoint_id: id, ...query })}">Its dead letters</a> ·
      <a href="${hrefOf("/dashboard/events", { endpoint_id: id, ...query })}">Its events</a>
    </p>
    <h2 id="attempts">Attempts</h2>
    <p>
      ${outcome === null ? html`All, newest first. <a href="${hrefOf(`${PATH}/${id}`, { ...query, outcome: "failed" })}#attempts">Failed ones alone</a>` : html`Failed ones, newest first. <a href="${hrefOf(`${PATH}/${id}`, query)}#attempts">All</a>`}
    </p>
    ${attempts.kind === "done" ? attemptsView(request, endpoint, attempts.value) : html`<p class="quiet">${attempts.problem.detail}</p>`}`;
  return { kind: "page", status: refusal?.status ?? 200, title: endpoint.url, body };
}

type Attempts = v.InferOutput<typeof AttemptList>;

function attemptsView(
  request: PageRequest,
  { id, tenant }: EndpointView,
  { data, next_cursor: next }: Attempts,
): Markup {
  if (data.length === 0 && next === null)
    return html`<p class="quiet">None yet. Send a test event, or publish one.</p>`;
  const more = {
    name: "Event",
    show: (attempt: Attempts["data"][number]) =>
      html`<a href="${thingHref(request, `/dashboard/events/${attempt.event_id}`, tenant)}">${attempt.event_type}</a>`,
  };
  return html`${data.length === 0 ? NOTHING_YET : attemptTable(data, request.nowMs, { more: [more] })}
  ${pagerView(`${PATH}/${id}`, Object.fromEntries(request.query), next)}`;
}

function settingsView(endpoint: EndpointView, nowMs: number): Markup {
  const { rate_limit: limit, batch, retry } = endpoint;
  const headers = Object.keys(endpoint.headers);
  return factsView([
    ["Endpoint id", idView(endpoint.id)],
    ["Tenant", endpoint.tenant],
    ["Description", endpoint.description === "" ? null : endpoint.description],
    ["Event types", endpoint.event_types.join(", ")],
    ["Retries", retryText(retry)],
    ["Rate limit", limit === null ? "none" : `${limit.limit} in ${spanText(limit.window_ms)}`],
    ["Batches", batch === null ? null : `up to ${batch.max_events} LOW events, after ${spanText(batch.max_wait_ms)}`],
    ["Headers of its own", headers.length === 0 ? null : headers.join(", ")],
    ["Created", timeView(endpoint.created_at, nowMs)],
    ["Changed", timeView(endpoint.updated_at, nowMs)],
  ]);
}

function retryText(retry: EndpointView["retry"]): string {
  if ("delays_s" in retry)
    return `${manyText(retry.delays_s.length, "attempt")}: ${retry.delays_s.map((delay) => (delay === 0 ? "at once" : spanText(delay * 1000))).join(", ")}`;
  return `${retry.attempts} attempts, from ${spanText(retry.base_s * 1000)} up to ${spanText(retry.max_s * 1000)} apart`;
}

function statsTiles({ attempts, delivered, retried, dead, duration_ms_mean: mean }: StatsView): Markup {
  const ofAll = attempts === 0 ? "" : `${shareText(delivered, attempts)} of the attempts`;
  const tiles = [
    { name: "Attempts", figure: countText(attempts), more: mean === null ? "" : `${spanText(mean)} on average` },
    { name: "Delivered", figure: countText(delivered), more: ofAll },
    { name: "Failed, retried", figure: countText(retried), more: "" },
    { name: "Dead", figure: countText(dead), more: "no attempt is left" },
  ];
  return tilesView(tiles);
}
