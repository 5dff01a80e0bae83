/** `/dashboard/events`: what was accepted, newest first. */
import { html } from "hono/html";
import type { EventFacts } from "../../answers/events.ts";
import { EVENT_STATES } from "@posthaste/shared/domain/event-state.ts";
import type { Markup } from "../../html/markup.ts";
import type { Answered } from "../api.ts";
import type { Field } from "../form-parts.ts";
import { filterForm } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { isOperator } from "../page-request.ts";
import type { Column } from "../parts.ts";
import {
  emptyView,
  hrefOf,
  listedTenant,
  namedTenant,
  NOTHING_YET,
  pagerView,
  problemView,
  stateView,
  tableView,
  thingHref,
  timeView,
} from "../parts.ts";
import { publishHint } from "./publish-hint.ts";

const PATH = "/dashboard/events";
const FILTERS = ["type", "state", "endpoint_id", "since", "until"] as const;

export const eventListPages: readonly PageRule[] = [
  { method: "GET", path: PATH, scope: "read", section: "events", show: listEvents },
];

async function listEvents(request: PageRequest): Promise<Shown> {
  const { api, query } = request;
  const id = query.get("id")?.trim() ?? "";
  if (id !== "") {
    return { kind: "moved", to: hrefOf(`${PATH}/${encodeURIComponent(id)}`, { tenant: namedTenant(request) }) };
  }
  const endpointId = query.get("endpoint_id");
  const wish = {
    ...Object.fromEntries(FILTERS.map((name) => [name, instantOf(name, query.get(name))])),
    // An endpoint is one tenant's.
    tenant: endpointId ? namedTenant(request) : listedTenant(request),
    cursor: query.get("cursor") ?? null,
    limit: "30",
  };
  const listed = await api.ask("GET /v1/events", { query: wish });
  const problem = listed.kind === "refused" ? listed.problem : null;
  const body = html`${filterForm(PATH, filterFields(request), problem)}
  ${problemView(
    problem,
    FILTERS.filter((name) => name !== "state"),
  )}
  ${listed.kind === "done" ? rowsView(request, listed) : ""}`;
  return { kind: "page", status: problem?.status ?? 200, title: "Events", body };
}

function rowsView(request: PageRequest, { value }: Extract<Answered<EventRows>, { kind: "done" }>): Markup {
  const { query } = request;
  if (value.data.length === 0 && value.next_cursor === null) return noneView(request);
  return html`${value.data.length === 0 ? NOTHING_YET : eventTable(request, value.data)}
  ${pagerView(PATH, Object.fromEntries(query), value.next_cursor)}`;
}

interface EventRows {
  readonly data: readonly EventListRow[];
  readonly next_cursor: string | null;
}
export type EventListRow = EventFacts & { readonly state: string };

export function eventTable(request: PageRequest, rows: readonly EventListRow[]): Markup {
  const { nowMs } = request;
  const columns: readonly Column<EventListRow>[] = [
    { name: "Accepted", show: ({ accepted_at }) => timeView(accepted_at, nowMs) },
    { name: "State", show: ({ state }) => stateView(state) },
    { name: "Type", show: ({ type }) => type },
    {
      name: "Event",
      show: ({ id, tenant }) =>
        html`<a class="id" href="${thingHref(request, `${PATH}/${id}`, tenant)}"><code>${id}</code></a>`,
    },
    ...(isOperator(request.caller) ? [{ name: "Tenant", show: ({ tenant }: EventListRow) => tenant }] : []),
    { name: "Lane", show: ({ lane }) => lane },
    { name: "Size", show: ({ body_bytes }) => html`<span class="number">${body_bytes} B</span>` },
  ];
  return tableView("Events, newest first", columns, rows);
}

function noneView(request: PageRequest): Markup {
  const isFiltered = [...FILTERS, "tenant"].some((name) => (request.query.get(name) ?? "") !== "");
  if (isFiltered) {
    return emptyView(
      "No event fits",
      html`<p>Widen the filter. Delivered events are kept for a day, others longer.</p>`,
    );
  }
  return emptyView("No event yet", publishHint(request));
}

function filterFields(request: PageRequest): readonly Field[] {
  const value = (name: string): string => request.query.get(name) ?? "";
  return [
    { name: "id", label: "Event id", value: value("id"), placeholder: "evt_…" },
    { name: "type", label: "Type", value: value("type"), placeholder: "invoice.paid" },
    {
      name: "state",
      label: "State",
      value: value("state"),
      options: [["", "any"], ...EVENT_STATES.map((state) => [state, state] as const)],
    },
    { name: "endpoint_id", label: "Endpoint id", value: value("endpoint_id"), placeholder: "ep_…" },
    ...(isOperator(request.caller)
      ? [{ name: "tenant", label: "Tenant", value: value("tenant"), placeholder: "all" }]
      : []),
    { name: "since", label: "Accepted from (UTC)", value: value("since"), type: "datetime-local" },
    { name: "until", label: "Accepted before (UTC)", value: value("until"), type: "datetime-local" },
  ];
}

/** Browsers send a time to the minute and without its zone. */
function instantOf(name: string, text: string | undefined): string | undefined {
  const isTime = (name === "since" || name === "until") && /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/.test(text ?? "");
  if (!isTime || text === undefined) return text;
  return `${text.length === 16 ? `${text}:00` : text}Z`;
}
