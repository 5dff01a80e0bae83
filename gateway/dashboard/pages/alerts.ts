/** `/dashboard/alerts`: which endpoints are in trouble, what Posthaste said of it, and who is told. */
import { html } from "hono/html";
import { OWN_TYPES } from "@posthaste/shared/domain/event.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { Markup } from "../../html/markup.ts";
import { fieldOf } from "../form.ts";
import { fieldView, tokenField } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { can, isOperator } from "../page-request.ts";
import type { Column } from "../parts.ts";
import { emptyView, listedTenant, problemView, stateView, tableView, thingHref, timeView } from "../parts.ts";
import type { EventListRow } from "./events.ts";
import { eventTable } from "./events.ts";
import { secretView } from "./secret-view.ts";

const PATH = "/dashboard/alerts";
/** Looked at for trouble; the list of endpoints has the rest. */
const ENDPOINTS = "100";
const NOTICES = ["endpoint.failing", "endpoint.disabled", "endpoint.recovered", "delivery.dead"];
/** Of each kind. */
const LATEST = "8";
/** What takes all notices. */
const ALL_NOTICES = `${OWN_TYPES}*`;
const shared = { section: "alerts" } as const;

export const alertPages: readonly PageRule[] = [
  { ...shared, method: "GET", path: PATH, scope: "read", show: (request) => showAlerts(request, null) },
  { ...shared, method: "POST", path: PATH, scope: "manage", show: tellAddress },
];

async function showAlerts(request: PageRequest, refusal: Problem | null): Promise<Shown> {
  const { api, caller } = request;
  const tenant = listedTenant(request);
  const [endpoints, ...notices] = await Promise.all([
    api.ask("GET /v1/endpoints", { query: { tenant, limit: ENDPOINTS } }),
    ...NOTICES.map((kind) =>
      api.ask("GET /v1/events", { query: { tenant, type: `${OWN_TYPES}${kind}`, limit: LATEST } }),
    ),
  ]);
  const answers = [endpoints, ...notices];
  const refused = refusal ?? answers.flatMap((each) => (each.kind === "refused" ? [each.problem] : [])).at(0) ?? null;
  const listed = endpoints.kind === "done" ? endpoints.value : { data: [], next_cursor: null };
  const latest = notices
    .flatMap((each) => (each.kind === "done" ? each.value.data : []))
    .toSorted((left, right) => Date.parse(right.accepted_at) - Date.parse(left.accepted_at));
  const body = html`${problemView(refused, ["url", "tenant"])}
    ${troubleView(request, listed.data, listed.next_cursor !== null)} ${noticesView(request, latest)}
    <h2>Who is told</h2>
    ${toldView(request, listed.data)} ${can(caller, "manage") ? tellForm(request, refusal) : ""}`;
  return { kind: "page", status: refused?.status ?? 200, title: "Alerts", body };
}

function troubleView(request: PageRequest, endpoints: readonly EndpointView[], isMore: boolean): Markup {
  const { nowMs } = request;
  const inTrouble = endpoints.filter(({ status, failing_since: since }) => status === "disabled" || since !== null);
  const columns: readonly Column<EndpointView>[] = [
    { name: "Endpoint", show: (endpoint) => endpointLink(request, endpoint) },
    { name: "State", show: ({ status }) => stateView(status === "active" ? "failing" : status) },
    { name: "Since", show: (endpoint) => timeView(endpoint.failing_since ?? endpoint.status_since, nowMs) },
    { name: "Why", show: ({ status_reason: reason }) => reason ?? "no attempt has succeeded since then" },
    ...(isOperator(request.caller) ? [{ name: "Tenant", show: ({ tenant }: EndpointView) => tenant }] : []),
  ];
  return html`${
    inTrouble.length === 0
      ? emptyView(
          "No endpoint is in trouble",
          html`<p>None is disabled, and none has failed for long without one success.</p>`,
        )
      : html`<h2>In trouble now</h2>
          ${tableView("Endpoints in trouble", columns, inTrouble)}`
  }
  ${isMore ? html`<p class="quiet">Of the first ${ENDPOINTS} endpoints. <a href="/dashboard/endpoints?status=disabled">All disabled ones</a></p>` : ""}`;
}

function endpointLink(request: PageRequest, { id, tenant, url }: EndpointView): Markup {
  return html`<a href="${thingHref(request, `/dashboard/endpoints/${id}`, tenant)}">${url}</a>`;
}

function noticesView(request: PageRequest, latest: readonly EventListRow[]): Markup {
  if (latest.length === 0) return html``;
  return html`<h2>What was said of it</h2>
    ${eventTable(request, latest)}`;
}

/** By what they subscribe to; `*` does not take notices. */
function toldView(request: PageRequest, endpoints: readonly EndpointView[]): Markup {
  const told = endpoints.filter(({ event_types: types }) => types.some((type) => type.startsWith(OWN_TYPES)));
  if (told.length === 0) return html`<p>Nobody yet: an endpoint is told of trouble only when it asks for it.</p>`;
  const columns: readonly Column<EndpointView>[] = [
    { name: "Endpoint", show: (endpoint) => endpointLink(request, endpoint) },
    { name: "Of what", show: ({ event_types }) => event_types.join(", ") },
    { name: "State", show: ({ status }) => stateView(status) },
  ];
  return tableView("Endpoints that are told", columns, told);
}

function tellForm(request: PageRequest, problem: Problem | null): Markup {
  const value = (name: string): string => request.form.get(name)?.[0] ?? "";
  return html`<h3>Name one</h3>
    <form method="post" action="${PATH}" class="form">
      ${tokenField(request)}
      ${fieldView({ name: "url", label: "Tell this URL", value: value("url"), hint: "When an endpoint fails for long, is disabled or recovers, and when a delivery is dead. It becomes an endpoint of its own; let it be another server than those it is told of.", isRequired: true, isWide: true }, problem)}
      ${isOperator(request.caller) ? fieldView({ name: "tenant", label: "Tenant", value: value("tenant"), hint: "Empty: default." }, problem) : ""}
      <div class="buttons"><button class="main">Tell it</button></div>
    </form>`;
}

async function tellAddress(request: PageRequest): Promise<Shown> {
  const { form, api } = request;
  const tenant = fieldOf(form, "tenant");
  const created = await api.ask("POST /v1/endpoints", {
    body: {
      url: fieldOf(form, "url"),
      event_types: [ALL_NOTICES],
      description: "Alerts",
      ...(tenant === "" ? {} : { tenant }),
    },
  });
  if (created.kind === "refused") return await showAlerts(request, created.problem);
  const body = html`${secretView("secret", created.value.secret)}
    <p>
      Give it to the receiver at <code>${created.value.url}</code>, who verifies with it that alerts come from here.
    </p>
    <p><a class="button main" href="${PATH}">To the alerts</a></p>`;
  return { kind: "page", status: 201, title: "It will be told", body };
}
