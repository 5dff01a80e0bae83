/** `/dashboard/dead-letters`: deliveries that need a person. */
import { html } from "hono/html";
import { MISSED_STATES } from "@posthaste/shared/domain/delivery.ts";
import type { DeadLetterView } from "../../answers/dead-letters.ts";
import type { Markup } from "../../html/markup.ts";
import { filterForm, tokenField } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { can, isOperator } from "../page-request.ts";
import type { Column } from "../parts.ts";
import {
  emptyView,
  hrefOf,
  listedTenant,
  NOTHING,
  NOTHING_YET,
  pagerView,
  problemView,
  stateView,
  tableView,
  thingHref,
  timeView,
} from "../parts.ts";
import { manyText } from "../words.ts";
import { PATH, replayForm, replayMatching, replayPreview } from "./dead-letter-replay.ts";

/** Of a page, and so of what is chosen at once. */
const ROWS = "50";
const FILTERS = ["endpoint_id", "event_id", "type", "state"] as const;
const shared = { section: "dead-letters" } as const;

export const deadLetterPages: readonly PageRule[] = [
  { ...shared, method: "GET", path: PATH, scope: "read", show: list },
  { ...shared, method: "POST", path: `${PATH}/chosen`, scope: "manage", show: actOnChosen },
  { ...shared, method: "GET", path: `${PATH}/replay`, scope: "manage", show: replayPreview },
  { ...shared, method: "POST", path: `${PATH}/replay`, scope: "manage", show: replayMatching },
];

async function list(request: PageRequest): Promise<Shown> {
  const { api, query, caller } = request;
  const value = (name: string): string => query.get(name) ?? "";
  const wish = Object.fromEntries([...FILTERS, "cursor"].map((name) => [name, value(name)]));
  const listed = await api.ask("GET /v1/dead-letters", {
    query: { ...wish, tenant: listedTenant(request), limit: ROWS },
  });
  const problem = listed.kind === "refused" ? listed.problem : null;
  const fields = [
    { name: "endpoint_id", label: "Endpoint id", value: value("endpoint_id"), placeholder: "ep_…" },
    { name: "event_id", label: "Event id", value: value("event_id"), placeholder: "evt_…" },
    { name: "type", label: "Type", value: value("type"), placeholder: "invoice.paid" },
    {
      name: "state",
      label: "State",
      value: value("state"),
      options: [["", "any"], ...MISSED_STATES.map((state) => [state, state] as const)] as const,
    },
    ...(isOperator(caller) ? [{ name: "tenant", label: "Tenant", value: value("tenant"), placeholder: "all" }] : []),
  ];
  const body = html`<p>
      Deliveries without an automatic attempt left, and those held for an endpoint that is paused, disabled or behind.
      They are kept until they are replayed or deleted.
    </p>
    ${doneView(request)} ${filterForm(PATH, fields, problem)} ${problemView(problem, FILTERS)}
    ${listed.kind === "done" ? lettersView(request, listed.value.data, listed.value.next_cursor) : ""}`;
  return { kind: "page", status: problem?.status ?? 200, title: "Dead letters", body };
}

function lettersView(request: PageRequest, letters: readonly DeadLetterView[], next: string | null): Markup {
  const { query, caller } = request;
  if (letters.length === 0 && next === null) {
    return emptyView(
      "Nothing is dead or held here",
      html`<p>Every delivery that fits was made, or will still be tried by itself.</p>`,
    );
  }
  const mayChange = can(caller, "manage");
  return html`${mayChange ? chosenForm(request) : ""}
  ${letters.length === 0 ? NOTHING_YET : letterTable(request, letters, mayChange)}
  ${pagerView(PATH, Object.fromEntries(query), next)} ${mayChange ? replayForm(request) : ""}`;
}

function letterTable(request: PageRequest, letters: readonly DeadLetterView[], mayChange: boolean): Markup {
  const { nowMs } = request;
  const columns: readonly Column<DeadLetterView>[] = [
    {
      name: "Event type",
      show: ({ id, event_type }) =>
        mayChange
          ? html`<label><input type="checkbox" name="id" value="${id}" form="chosen" /> ${event_type}</label>`
          : event_type,
    },
    { name: "State", show: ({ state }) => stateView(state) },
    { name: "Since", show: ({ at }) => timeView(at, nowMs) },
    { name: "Why", show: ({ reason }) => reason },
    { name: "Attempts", show: ({ attempt_count }) => attempt_count },
    {
      name: "Event",
      show: ({ event_id, tenant }) =>
        html`<a href="${thingHref(request, `/dashboard/events/${event_id}`, tenant)}"><code>${event_id}</code></a>`,
    },
    {
      name: "Endpoint",
      show: ({ endpoint_id, tenant }) =>
        endpoint_id === null
          ? html`<span class="quiet">none</span>`
          : html`<a href="${thingHref(request, `/dashboard/endpoints/${endpoint_id}`, tenant)}"
              ><code>${endpoint_id}</code></a
            >`,
    },
    ...(isOperator(request.caller) ? [{ name: "Tenant", show: ({ tenant }: DeadLetterView) => tenant }] : []),
  ];
  return tableView("Dead letters, newest first", columns, letters);
}

/** The boxes in the table belong to it. */
function chosenForm(request: PageRequest): Markup {
  return html`<form method="post" action="${hrefOf(`${PATH}/chosen`, filtersOf(request))}" id="chosen" class="actions">
    ${tokenField(request)}
    <label hidden><input type="checkbox" data-all="id" /> Choose all on this page</label>
    <button class="main" name="do" value="replay">Replay the chosen</button>
    <details class="asked">
      <summary>Delete the chosen…</summary>
      <div>
        <p>Nobody can replay them afterwards. Those that are held end as dead.</p>
        <button class="danger" name="do" value="delete">Delete the chosen</button>
      </div>
    </details>
  </form>`;
}

function filtersOf({ query }: PageRequest): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries([...FILTERS, "tenant"].map((name) => [name, query.get(name)]));
}

/** One after the other, each as the call for one is. */
async function actOnChosen(request: PageRequest): Promise<Shown> {
  const { api, form } = request;
  const call = form.get("do")?.[0] === "delete" ? "DELETE /v1/dead-letters/:id" : "POST /v1/dead-letters/:id/replay";
  const ids = (form.get("id") ?? []).slice(0, Number(ROWS));
  let [done, refused, why] = [0, 0, ""];
  for (const id of ids) {
    const answered = await api.ask(call, { id });
    if (answered.kind === "done") done += 1;
    else [refused, why] = [refused + 1, answered.problem.code];
  }
  const what = call.startsWith("DELETE") ? "deleted" : "replayed";
  const counts = { [what]: String(done), refused: refused === 0 ? null : String(refused), why };
  return { kind: "moved", to: hrefOf(PATH, { ...filtersOf(request), ...counts }) };
}

function doneView({ query }: PageRequest): Markup {
  const count = (name: string): number | null =>
    /^\d{1,9}$/.test(query.get(name) ?? "") ? Number(query.get(name)) : null;
  const [replayed, deleted, refused] = [count("replayed"), count("deleted"), count("refused")];
  if (replayed === null && deleted === null) return NOTHING;
  const letters = manyText(replayed ?? deleted ?? 0, "dead letter");
  const words =
    replayed === null
      ? `${letters} deleted.`
      : `${letters} replayed: each is a delivery of its own now, with attempts from 1.`;
  return html`<p class="notice ${refused === null ? "good" : "odd"}" role="status">
    ${words}
    ${refused === null ? "" : `${refused} refused (${query.get("why") ?? ""}): replayed or deleted by others, or their endpoint is gone.`}
    ${count("skipped") === null ? "" : `${query.get("skipped") ?? ""} skipped: their endpoint is gone.`}
    ${query.get("more") === "yes" ? "More remain: replay once more." : ""}
  </p>`;
}
