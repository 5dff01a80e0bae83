/** `/dashboard/live`: what happens, as it happens. The stream is that of `GET /v1/tail`. */
import { html } from "hono/html";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { filterForm } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { isOperator } from "../page-request.ts";
import { hrefOf, listedTenant, namedTenant } from "../parts.ts";

const PATH = "/dashboard/live";
const FILTERS = ["type", "lane", "endpoint_id", "outcome"] as const;
const shared = { method: "GET", scope: "read", section: "live" } as const;

export const livePages: readonly PageRule[] = [
  { ...shared, path: PATH, show: (request) => Promise.resolve(livePage(request)) },
  { ...shared, path: "/dashboard/tail", show: stream },
];

function livePage(request: PageRequest): Shown {
  const { query, caller } = request;
  const value = (name: string): string => query.get(name) ?? "";
  const choice = (words: readonly string[]) => [["", "any"], ...words.map((word) => [word, word] as const)] as const;
  const fields = [
    { name: "type", label: "Type", value: value("type"), placeholder: "invoice.*" },
    { name: "lane", label: "Lane", value: value("lane"), options: choice(LANES) },
    {
      name: "outcome",
      label: "Outcome",
      value: value("outcome"),
      options: choice(["failed", "delivered", "retry", "dead"]),
    },
    { name: "endpoint_id", label: "Endpoint id", value: value("endpoint_id"), placeholder: "ep_…" },
    ...(isOperator(caller) ? [{ name: "tenant", label: "Tenant", value: value("tenant"), placeholder: "all" }] : []),
  ];
  const from = hrefOf("/dashboard/tail", { ...filtersOf(request), tenant: namedTenant(request) });
  const body = html`${filterForm(PATH, fields, null)}
    <section id="live" data-from="${from}" data-tenants="${isOperator(caller) ? "yes" : ""}" aria-label="What happens">
      <p class="lead">
        <span id="live-state" role="status">Connecting.</span>
        <button type="button" id="live-pause" aria-pressed="false" hidden>Pause</button>
      </p>
      <noscript
        ><p class="notice odd">
          This page alone needs JavaScript. The API shows the same: <code>GET /v1/tail</code>.
        </p></noscript
      >
      <p id="live-empty" class="quiet">
        Nothing has happened since you came. What is published or delivered from now on appears here, the newest first.
      </p>
      <div role="log" aria-label="Entries, newest first"><ol id="live-entries"></ol></div>
    </section>`;
  return { kind: "page", title: "Live", body };
}

function filtersOf({ query }: PageRequest): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
}

async function stream(request: PageRequest): Promise<Shown> {
  const query = { ...filtersOf(request), tenant: listedTenant(request) };
  return { kind: "stream", response: await request.api.open("GET /v1/tail", { query }) };
}
