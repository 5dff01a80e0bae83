/** `/dashboard/api-keys`: who may call, and the ways to make a key and to revoke one. */
import { html } from "hono/html";
import { Scope } from "@posthaste/shared/domain/api-key.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { ApiKeyView } from "../../answers/api-keys.ts";
import type { Markup } from "../../html/markup.ts";
import { fieldOf } from "../form.ts";
import { askedForm, fieldView, tokenField } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { can, isOperator } from "../page-request.ts";
import type { Column } from "../parts.ts";
import {
  hrefOf,
  idView,
  listedTenant,
  pagerView,
  placeOf,
  problemView,
  stateView,
  tableView,
  timeView,
} from "../parts.ts";
import { secretView } from "./secret-view.ts";

const PATH = "/dashboard/api-keys";
const shared = { scope: "manage", section: "api-keys" } as const;

export const apiKeyPages: readonly PageRule[] = [
  { ...shared, method: "GET", path: PATH, show: (request) => listKeys(request, null) },
  { ...shared, method: "POST", path: PATH, show: create },
  { ...shared, method: "POST", path: `${PATH}/:id/revoke`, show: revoke },
];

async function listKeys(request: PageRequest, problem: Problem | null): Promise<Shown> {
  const { api, query } = request;
  const wish = { tenant: listedTenant(request), cursor: query.get("cursor") ?? null, limit: "50" };
  const listed = await api.ask("GET /v1/api-keys", { query: wish });
  const shownProblem = problem ?? (listed.kind === "refused" ? listed.problem : null);
  const body = html`${problemView(shownProblem, ["name", "tenant", "scopes", "expires_at"])}
    ${query.get("done") === "revoked" ? html`<p class="notice good" role="status">The key is revoked, within a second everywhere.</p>` : ""}
    ${
      listed.kind === "done"
        ? html`${keyTable(request, listed.value.data)}
          ${pagerView(PATH, Object.fromEntries(query), listed.value.next_cursor)}`
        : ""
    }
    <h2>Create a key</h2>
    ${newForm(request, problem)}`;
  return { kind: "page", status: shownProblem?.status ?? 200, title: "API keys", body };
}

function keyTable(request: PageRequest, keys: readonly ApiKeyView[]): Markup {
  const { nowMs, caller } = request;
  const columns: readonly Column<ApiKeyView>[] = [
    { name: "Name", show: ({ id, name }) => html`${name}${id === caller.id ? html` <strong>(yours)</strong>` : ""}` },
    { name: "Begins with", show: ({ hint }) => html`<code>${hint}</code>` },
    { name: "State", show: ({ status }) => stateView(status) },
    ...(isOperator(caller) ? [{ name: "Tenant", show: ({ tenant }: ApiKeyView) => tenant }] : []),
    { name: "May", show: ({ scopes }) => scopes.join(", ") },
    { name: "Created", show: ({ created_at }) => timeView(created_at, nowMs) },
    { name: "Expires", show: ({ expires_at }) => timeView(expires_at, nowMs) },
    { name: "Id", show: ({ id }) => idView(id) },
    { name: "Revoke", show: (key) => (key.status === "usable" ? revokeView(request, key) : "") },
  ];
  return tableView("API keys, newest first", columns, keys);
}

function revokeView(request: PageRequest, { id, name }: ApiKeyView): Markup {
  const isOwn = id === request.caller.id;
  return askedForm(
    request,
    { to: `${PATH}/${id}/revoke`, label: "Revoke" },
    html`<p>
      Whoever uses <strong>${name}</strong> is refused from then on.
      ${isOwn ? "It is the key that you are signed in with: your session ends with it." : ""} It cannot be undone.
    </p>`,
  );
}

function newForm(request: PageRequest, problem: Problem | null): Markup {
  const { form, caller } = request;
  const value = (name: string): string => form.get(name)?.[0] ?? "";
  const chosen = form.get("scopes") ?? caller.scopes;
  const wrong = (problem?.errors ?? []).filter((each) => placeOf(each) === "scopes");
  return html`<form method="post" action="${PATH}" class="form">
    ${tokenField(request)}
    ${fieldView({ name: "name", label: "Name", value: value("name"), hint: "Who or what will use it.", isRequired: true }, problem)}
    ${isOperator(caller) ? fieldView({ name: "tenant", label: "Tenant", value: value("tenant"), hint: "Empty: default. “operator” makes a key for every tenant." }, problem) : ""}
    ${fieldView({ name: "expires_at", label: "Expires at (UTC)", value: value("expires_at"), type: "datetime-local", hint: "Empty: when your key does, or never." }, problem)}
    <fieldset class="wide">
      <legend>It may</legend>
      ${Scope.options
        .filter((scope) => can(caller, scope))
        .map(
          (scope) =>
            html`<label
              ><input type="checkbox" name="scopes" value="${scope}" ${chosen.includes(scope) ? html`checked` : ""} />
              ${scope}</label
            >`,
        )}
      ${wrong.length === 0 ? "" : html`<p class="wrong">The scopes ${wrong.map(({ detail }) => detail).join("; ")}.</p>`}
    </fieldset>
    <div class="buttons"><button class="main">Create the key</button></div>
  </form>`;
}

async function create(request: PageRequest): Promise<Shown> {
  const { form, api } = request;
  const [tenant, expires] = [fieldOf(form, "tenant"), fieldOf(form, "expires_at")];
  const created = await api.ask("POST /v1/api-keys", {
    body: {
      name: fieldOf(form, "name"),
      scopes: form.get("scopes") ?? [],
      ...(tenant === "" ? {} : { tenant }),
      ...(expires === "" ? {} : { expires_at: `${expires.length === 16 ? `${expires}:00` : expires}Z` }),
    },
  });
  if (created.kind === "refused") return await listKeys(request, created.problem);
  const { key, name, scopes } = created.value;
  const body = html`${secretView("key", key)}
    <p><strong>${name}</strong> may ${scopes.join(", ")} for the tenant ${created.value.tenant}.</p>
    <p><a href="${PATH}">Back to the keys</a></p>`;
  return { kind: "page", status: 201, title: "The key is there", body };
}

async function revoke(request: PageRequest): Promise<Shown> {
  const revoked = await request.api.ask("DELETE /v1/api-keys/:id", { id: request.param("id") });
  if (revoked.kind === "refused") return await listKeys(request, revoked.problem);
  return { kind: "moved", to: hrefOf(PATH, { done: "revoked" }) };
}
