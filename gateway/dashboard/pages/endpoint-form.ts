/** The forms that make an endpoint and change its settings. What was typed stays when it is refused. */
import { html } from "hono/html";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import { problemOf } from "@posthaste/shared/domain/problem.ts";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { Markup } from "../../html/markup.ts";
import { valueOf } from "../api.ts";
import { fieldOf } from "../form.ts";
import type { Field } from "../form-parts.ts";
import { fieldView, tokenField } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { isOperator } from "../page-request.ts";
import { pointerTo } from "../../request/validation.ts";
import { hrefOf, namedTenant, problemView, thingHref } from "../parts.ts";
import { changedSince, seenField } from "../seen.ts";
import { headerAt, headerPlace, headerRows, headersTyped, nameGivenTwice, rowsShown } from "./endpoint-headers.ts";
import { problemAtFields, SETTING_FIELDS, settingsTyped, settingValues } from "./endpoint-settings.ts";
import { secretView } from "./secret-view.ts";

const ALL = "/dashboard/endpoints";
const shared = { scope: "manage", section: "endpoints" } as const;
const FIELDS = ["url", "event_types", "description", "tenant", ...SETTING_FIELDS];

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
    headers: [],
    problem,
    endpoint: null,
  });
  return { kind: "page", status: problem?.status ?? 200, title: "Create an endpoint", body };
}

interface SettingsForm {
  readonly to: string;
  readonly label: string;
  /** Of the endpoint; what was typed goes before them. */
  readonly values: Readonly<Record<string, string>>;
  /** By name; their values are never shown. */
  readonly headers: readonly string[];
  readonly problem: Problem | null;
  /** Null: it is to be made. */
  readonly endpoint: EndpointView | null;
}

function settingsForm(
  request: PageRequest,
  { to, label, values, headers, problem: given, endpoint }: SettingsForm,
): Markup {
  const { form } = request;
  const isNew = endpoint === null;
  const rows = rowsShown(form, headers);
  const problem = given === null ? null : problemAtFields(given, headerAt(rows));
  const places = [...FIELDS, ...rows.map((_row, index) => headerPlace(index))];
  const field = (each: Field): Markup =>
    fieldView({ ...each, value: form.get(each.name)?.[0] ?? values[each.name] ?? "" }, problem);
  return html`${problemView(problem, places)}
    <form method="post" action="${to}" class="form">
      ${tokenField(request)} ${endpoint === null ? "" : seenField(endpoint)}
      ${field({ name: "url", label: "URL", hint: "Where the events are POSTed to, such as https://example.com/hooks.", isRequired: true, isWide: true })}
      ${field({ name: "event_types", label: "Event types", hint: "Separated by commas: a type, a prefix such as invoice.*, or * for all. Empty: all.", isWide: true })}
      ${field({ name: "description", label: "Description", hint: "For you; receivers do not see it.", isWide: true })}
      ${isNew && isOperator(request.caller) ? field({ name: "tenant", label: "Tenant", hint: "Empty: default." }) : ""}
      ${retryFields(field)} ${limitFields(field)} ${headerRows(rows, problem)}
      <div class="buttons">
        <button class="main">${label}</button>
        <a href="${isNew ? ALL : hrefOf(to.replace(/\/edit.*$/, ""), { tenant: namedTenant(request) })}">Cancel</a>
      </div>
    </form>`;
}

type ShowField = (field: Field) => Markup;

const RETRY_FORMS = [
  ["default", "Ten attempts over three days"],
  ["list", "The waits that I name"],
  ["backoff", "Waits that grow"],
] as const;

function retryFields(field: ShowField): Markup {
  return html`<fieldset class="group">
    <legend>Retries</legend>
    ${field({ name: "retry_form", label: "When attempts are made", options: RETRY_FORMS, isWide: true })}
    ${field({ name: "retry_delays", label: "The waits that I name", placeholder: "0 s, 5 s, 5 min, 2 h", hint: "Before attempt 1, 2 and so on: as many attempts as waits, at most 50. In s, min, h or d.", isWide: true })}
    ${field({ name: "retry_base", label: "Growing: first wait", placeholder: "5 s" })}
    ${field({ name: "retry_factor", label: "Growing: times", placeholder: "2" })}
    ${field({ name: "retry_max", label: "Growing: at most", placeholder: "1 h" })}
    ${field({ name: "retry_attempts", label: "Growing: attempts", placeholder: "10" })}
  </fieldset>`;
}

function limitFields(field: ShowField): Markup {
  return html`<fieldset class="group">
      <legend>Rate limit</legend>
      ${field({ name: "rate_limit", label: "Attempts, at most", placeholder: "no limit", hint: "Both empty: no limit." })}
      ${field({ name: "rate_window", label: "In a window of", placeholder: "1 s" })}
    </fieldset>
    <fieldset class="group">
      <legend>Batches of LOW events</legend>
      ${field({ name: "batch_events", label: "Events, at most", placeholder: "each in its own", hint: "Both empty: no batches." })}
      ${field({ name: "batch_wait", label: "Wait, at most", placeholder: "1 s" })}
    </fieldset>`;
}

async function create(request: PageRequest): Promise<Shown> {
  const { form, api } = request;
  const refusal = twiceRefusal(request);
  if (refusal !== null) return newForm(request, refusal);
  const tenant = fieldOf(form, "tenant");
  const body = { ...settingsOf(request), headers: headersTyped(form), ...(tenant === "" ? {} : { tenant }) };
  const created = await api.ask("POST /v1/endpoints", { body });
  if (created.kind === "refused") return newForm(request, created.problem);
  const { id, secret, url } = created.value;
  const href = thingHref(request, `${ALL}/${id}`, created.value.tenant);
  const shown = html`${secretView("secret", secret)}
    <p>Give it to the receiver at <code>${url}</code>, who verifies with it that messages come from you.</p>
    <p><a class="button main" href="${href}">To the endpoint</a></p>`;
  return { kind: "page", status: 201, title: "The endpoint is there", body: shown };
}

async function edit(request: PageRequest): Promise<Shown> {
  return editForm(request, await endpointOf(request), null);
}

async function endpointOf(request: PageRequest): Promise<EndpointView> {
  return valueOf(await request.api.ask("GET /v1/endpoints/:id", named(request)));
}

function editForm(request: PageRequest, endpoint: EndpointView, problem: Problem | null): Shown {
  const { url, event_types: types, description, headers } = endpoint;
  const to = hrefOf(`${ALL}/${endpoint.id}/edit`, { tenant: namedTenant(request) });
  const values = { url, event_types: types.join(", "), description, ...settingValues(endpoint) };
  const body = settingsForm(request, {
    to,
    label: "Save",
    values,
    headers: Object.keys(headers),
    problem,
    endpoint,
  });
  return { kind: "page", status: problem?.status ?? 200, title: "Change settings", body };
}

async function change(request: PageRequest): Promise<Shown> {
  const endpoint = await endpointOf(request);
  const refusal = twiceRefusal(request) ?? changedSince(request.form, endpoint);
  if (refusal !== null) return editForm(request, endpoint, refusal);
  const headers = headersTyped(request.form);
  const body = { ...settingsOf(request), ...(Object.keys(headers).length === 0 ? {} : { headers }) };
  const changed = await request.api.ask("PATCH /v1/endpoints/:id", { ...named(request), body });
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
    ...settingsTyped(form),
  };
}

/** The API cannot see it: one of the two would be lost on the way. */
function twiceRefusal({ form }: PageRequest): Problem | null {
  const name = nameGivenTwice(form);
  if (name === null) return null;
  const detail = "is given more than once; leave one of the two out";
  const errors = [{ pointer: pointerTo(["headers", name]), detail }];
  return problemOf(new PosthasteError("validation-failed", { detail: "A header is given more than once.", errors }));
}
