/** Replay of all dead letters that fit a filter: how many there are is shown first. */
import { html } from "hono/html";
import type { Markup } from "../../html/markup.ts";
import { fieldOf } from "../form.ts";
import { fieldView, tokenField } from "../form-parts.ts";
import type { PageRequest, Shown } from "../page-request.ts";
import { isOperator } from "../page-request.ts";
import { factsView, hrefOf, NOTHING, problemView } from "../parts.ts";
import { manyText } from "../words.ts";

export const PATH = "/dashboard/dead-letters";
const FILTERS = ["endpoint_id", "event_id", "type", "state"] as const;
const names: Readonly<Record<(typeof FILTERS)[number] | "tenant", string>> = {
  endpoint_id: "Endpoint id",
  event_id: "Event id",
  type: "Type",
  state: "State",
  tenant: "Tenant",
};

/** The way to the preview. A replay is of one tenant, so that an operator names it. */
export function replayForm({ query, caller }: PageRequest): Markup {
  const tenant = query.get("tenant") ?? "";
  return html`<h2>Replay all that fit</h2>
    <form method="get" action="${PATH}/replay" class="action">
      ${FILTERS.map((name) => html`<input type="hidden" name="${name}" value="${query.get(name) ?? ""}" />`)}
      ${isOperator(caller) ? fieldView({ name: "tenant", label: "Tenant", value: tenant === "" ? "default" : tenant }, null, "replay") : ""}
      <button>Count what fits…</button>
    </form>`;
}

export async function replayPreview(request: PageRequest): Promise<Shown> {
  const counted = await request.api.ask("POST /v1/dead-letters/replay", {
    body: { ...wishOf(request), dry_run: true },
  });
  const filters = Object.entries(wishOf(request)).map(
    ([name, value]) => [names[name as keyof typeof names], value] as const,
  );
  const to = hrefOf(`${PATH}/replay`, Object.fromEntries(request.query));
  const back = hrefOf(PATH, Object.fromEntries(request.query));
  const problem = counted.kind === "refused" ? counted.problem : null;
  const count = counted.kind === "done" ? counted.value.matched : 0;
  const isMore = counted.kind === "done" && counted.value.has_more;
  const body = html`${problemView(problem)}
    ${filters.length === 0 ? html`<p>No filter: all that there are.</p>` : factsView(filters)}
    ${problem === null ? html`<p><strong>${isMore ? "More than " : ""}${manyText(count, "dead letter fits", "dead letters fit")}.</strong></p>` : NOTHING}
    ${
      count === 0
        ? ""
        : html`<form method="post" action="${to}" class="form">
            ${tokenField(request)}
            ${fieldView({ name: "rate_per_s", label: "Attempts begun in a second", value: "100", type: "number", hint: "1 to 1,000: so that the receiver is not overrun." })}
            <div class="buttons"><button class="main">Replay ${isMore ? "the first of them" : "them"}</button></div>
          </form>`
    }
    <p><a href="${back}">Back to the list</a></p>`;
  return { kind: "page", status: problem?.status ?? 200, title: "Replay dead letters", body };
}

function wishOf({ query }: PageRequest): Readonly<Record<string, string>> {
  const given = [...FILTERS, "tenant"].map((name) => [name, query.get(name) ?? ""] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== ""));
}

export async function replayMatching(request: PageRequest): Promise<Shown> {
  const rate = fieldOf(request.form, "rate_per_s");
  const body = { ...wishOf(request), ...(rate === "" ? {} : { rate_per_s: Number(rate) }) };
  const done = await request.api.ask("POST /v1/dead-letters/replay", { body });
  if (done.kind === "refused") {
    const page = html`${problemView(done.problem)}
      <p><a href="${hrefOf(`${PATH}/replay`, Object.fromEntries(request.query))}">Back</a></p>`;
    return { kind: "page", status: done.problem.status, title: "Replay dead letters", body: page };
  }
  const { replayed, skipped, has_more: hasMore } = done.value;
  const counts = {
    replayed: String(replayed),
    skipped: skipped === 0 ? null : String(skipped),
    more: hasMore ? "yes" : null,
  };
  return { kind: "moved", to: hrefOf(PATH, { ...Object.fromEntries(request.query), ...counts }) };
}
