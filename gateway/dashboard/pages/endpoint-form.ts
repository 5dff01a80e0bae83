/** The forms that make an endpoint and change its settings. What was typed stays when it is refused. */
import { html } from "hono/html";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { Markup } from "../../html/markup.ts";
import { valueOf } from "../api.ts";
import { fieldOf } from "../form.ts";
import { fieldView, tokenField } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { isOperator } from "../page-request.ts";
import { hrefOf, namedTenant, problemView, thingHref } from "../parts.ts";
import { secretView } from "./secret-view.ts";

const ALL = "/dashboard/endpoints";
const shared = { scope: "manage", section: "endpoints" } as const;
const FIELDS = ["url", "event_types", "description", "tenant"];

export const endpointFormPages: readonly PageRule[] = [
  { ...shared, method: "GET", path: `${ALL}/new`, show: (request) => Promise.resolve(newForm(request, null)) },
  { ...shared, method: "POST", path: `${ALL}/new`, show: create },
  { ...shared, method: "GET", path: `${ALL}/:id/edit`, show: edit },
  { ...shared, method: "POST", path: `${ALL}/:id/edit`, show: change },
];

function newForm(request: PageRequest, problem: Problem | null): Shown {
  const body = settingsForm(request, {
    to: `${ALL}/new`,
    label: "Create the endpoint",
    values: {},
    problem,
    isNew: true,
  });
  return { kind: "page", status: problem?.status ?? 200, title: "Create an endpoint", body };
}

interface SettingsForm {
  readonly to: string;
  readonly label: string;
  /** Of the endpoint; what was typed goes before them. */
  readonly values: Readonly<Record<string, string>>;
  readonly problem: Problem | null;
  readonly isNew: boolean;
}

function settingsForm(request: PageRequest, { to, label, values, problem, isNew }: SettingsForm): Markup {
  const value = (name: string): string => request.form.get(name)?.[0] ?? values[name] ?? "";
  return html`${problemView(problem, FIELDS)}
    <form method="post" action="${to}" class="form">
      ${tokenField(request)}
      ${fieldView({ name: "url", label: "URL", value: value("url"), hint: "Where the events are POSTed to, such as https://example.com/hooks.", isRequired: true, isWide: true }, problem)}
      ${fieldView({ name: "event_types", label: "Event types", value: value("event_types"), hint: "Separated by commas: a type, a prefix such as invoice.*, or * for all. Empty: all.", isWide: true }, problem)}
      ${fieldView({ name: "description", label: "Description", value: value("description"), hint: "For you; receivers do not see it.", isWide: true }, problem)}
      ${isNew && isOperator(request.caller) ? fieldView({ name: "tenant", label: "Tenant", value: value("tenant"), hint: "Empty: default." }, problem) : ""}
      <div class="buttons">
        <button class="main">${label}</button>
        <a href="${isNew ? ALL : hrefOf(to.replace(/\/edit.*$/, ""), { tenant: namedTenant(request) })}">Cancel</a>
      </div>
    </form>
    ${
      request.place.isPortal
        ? ""
        : html`<p class="quiet">
            Retries, limits, batches and headers of its own are set by the <a href="/docs#endpoints">API</a>.
          </p>`
    }`;
}

async function create(request: PageRequest): Promise<Shown> {
  const { form, api } = request;
  const tenant = fieldOf(form, "tenant");
  const created = await api.ask("POST /v1/endpoints", {
    body: { ...settingsOf(request), ...(tenant === "" ? {} : { tenant }) },
  });
  if (created.kind === "refused") return newForm(request, created.problem);
  const { id, secret, url } = created.value;
  const href = thingHref(request, `${ALL}/${id}`, created.value.tenant);
  const body = html`${secretView("secret", secret)}
    <p>Give it to the receiver at <code>${url}</code>, who verifies with it that messages come from you.</p>
    <p><a class="button main" href="${href}">To the endpoint</a></p>`;
  return { kind: "page", status: 201, title: "The endpoint is there", body };
}

async function edit(request: PageRequest): Promise<Shown> {
  return editForm(request, await endpointOf(request), null);
}

async function endpointOf(request: PageRequest): Promise<EndpointView> {
  return valueOf(await request.api.ask("GET /v1/endpoints/:id", named(request)));
}

function editForm(request: PageRequest, endpoint: EndpointView, problem: Problem | null): Shown {
  const { url, event_types: types, description } = endpoint;
  const to = hrefOf(`${ALL}/${endpoint.id}/edit`, { tenant: namedTenant(request) });
  const values = { url, event_types: types.join(", "), description };
  const body = settingsForm(request, { to, label: "Save", values, problem, isNew: false });
  return { kind: "page", status: problem?.status ?? 200, title: "Change settings", body };
}

async function change(request: PageRequest): Promise<Shown> {
  const changed = await request.api.ask("PATCH /v1/endpoints/:id", { ...named(request), body: settingsOf(request) });
  if (changed.kind === "refused") return editForm(request, await endpointOf(request), changed.problem);
  const to = hrefOf(`${ALL}/${request.param("id")}`, { tenant: namedTenant(request), done: "changed" });
  return { kind: "moved", to };
}

function named(request: PageRequest) {
  return { id: request.param("id"), query: { tenant: namedTenant(request) } };
}

function settingsOf({ form }: PageRequest) {
  const types = fieldOf(form, "event_types")
    .split(/[\s,]+/)
    .filter((type) => type !== "");
  return {
    url: fieldOf(form, "url"),
    event_types: types.length === 0 ? ["*"] : types,
    description: fieldOf(form, "description"),
  };
}
