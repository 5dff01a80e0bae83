/** `/dashboard/event-types`: the catalogue, one type of it, and for operators the forms to change it. */
import { html } from "hono/html";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { jsonLoss } from "@posthaste/shared/domain/json-loss.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import { problemOf } from "@posthaste/shared/domain/problem.ts";
import type { EventTypeView } from "../../answers/event-types.ts";
import type { Markup } from "../../html/markup.ts";
import { example } from "../../html/markup.ts";
import { pointerTo } from "../../request/validation.ts";
import { valueOf } from "../api.ts";
import { fieldOf } from "../form.ts";
import { askedForm, fieldView, tokenField } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { can, isOperator } from "../page-request.ts";
import type { Column } from "../parts.ts";
import { changedSince, seenField } from "../seen.ts";
import {
  emptyView,
  factsView,
  hrefOf,
  NOTHING,
  pagerView,
  placeOf,
  problemView,
  stateView,
  tableView,
  timeView,
} from "../parts.ts";

const PATH = "/dashboard/event-types";
const look = { scope: "read", section: "event-types" } as const;
const change = { scope: "manage", section: "event-types" } as const;
const FIELDS = ["name", "description", "schema", "example"] as const;

export const eventTypePages: readonly PageRule[] = [
  { ...look, method: "GET", path: PATH, show: (request) => listTypes(request, null) },
  { ...change, method: "POST", path: PATH, show: create },
  { ...look, method: "GET", path: `${PATH}/:name`, show: (request) => showType(request, null) },
  { ...change, method: "POST", path: `${PATH}/:name`, show: replace },
  { ...change, method: "POST", path: `${PATH}/:name/delete`, show: remove },
];

const done: Readonly<Record<string, string>> = {
  saved: "The event type is saved. Events of it are held to its schema, everywhere within 5 seconds.",
  deleted: "The event type is deleted.",
};

function mayChange({ caller }: PageRequest): boolean {
  return isOperator(caller) && can(caller, "manage");
}

function hrefOfType(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`;
}

function doneView({ query }: PageRequest): Markup {
  const words = done[query.get("done") ?? ""];
  return words === undefined ? NOTHING : html`<p class="notice good" role="status">${words}</p>`;
}

async function listTypes(request: PageRequest, problem: Problem | null): Promise<Shown> {
  const { api, query, nowMs } = request;
  const listed = await api.ask("GET /v1/event-types", { query: { cursor: query.get("cursor") ?? null, limit: "50" } });
  const shownProblem = problem ?? (listed.kind === "refused" ? listed.problem : null);
  const columns: readonly Column<EventTypeView>[] = [
    { name: "Type", show: ({ name }) => html`<a href="${hrefOfType(name)}"><code>${name}</code></a>` },
    { name: "Description", show: ({ description }) => description ?? "" },
    { name: "Data", show: ({ schema }) => (schema === null ? "any" : "by its schema") },
    { name: "State", show: ({ deprecated }) => stateView(deprecated ? "deprecated" : "current") },
    { name: "Changed", show: ({ updated_at }) => timeView(updated_at, nowMs) },
  ];
  const rows = listed.kind === "done" ? listed.value.data : [];
  const isEmpty = listed.kind === "done" && rows.length === 0 && query.get("cursor") === undefined;
  const body = html`${doneView(request)} ${problemView(shownProblem, FIELDS)}
  ${isEmpty ? emptyView("No event types yet", html`<p>The catalogue says which types of events there are. Without one, any type is taken.</p>`) : ""}
  ${rows.length === 0 ? "" : tableView("Event types, by name", columns, rows)}
  ${listed.kind === "done" ? pagerView(PATH, Object.fromEntries(query), listed.value.next_cursor) : ""}
  ${
    mayChange(request)
      ? html`<h2>Add an event type</h2>
          ${typeForm(request, PATH, null, problem)}`
      : ""
  }`;
  return { kind: "page", status: shownProblem?.status ?? 200, title: "Event types", body };
}

async function showType(request: PageRequest, problem: Problem | null): Promise<Shown> {
  const name = request.param("name");
  const type = valueOf(await request.api.ask("GET /v1/event-types/:name", { id: name }));
  const { description, schema, deprecated, created_at, updated_at } = type;
  const facts = factsView([
    ["Description", description],
    ["State", stateView(deprecated ? "deprecated" : "current")],
    ["Created", timeView(created_at, request.nowMs)],
    ["Changed", timeView(updated_at, request.nowMs)],
  ]);
  const body = html`${doneView(request)} ${problemView(problem, FIELDS)} ${facts}
    <h2>Schema of the data</h2>
    ${schema === null ? html`<p>None: any data will do.</p>` : example(jsonText(schema))}
    <h2>Example</h2>
    ${"example" in type ? example(jsonText(type.example)) : html`<p>None.</p>`}
    ${mayChange(request) ? changeView(request, type, problem) : ""}`;
  return { kind: "page", status: problem?.status ?? 200, title: name, body };
}

/** A string keeps its quotes. */
function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

function changeView(request: PageRequest, type: EventTypeView, problem: Problem | null): Markup {
  const to = hrefOfType(type.name);
  return html`<h2>Change it</h2>
    ${typeForm(request, to, type, problem)}
    ${askedForm(
      request,
      { to: `${to}/delete`, label: "Delete" },
      html`<p>Events of it are no longer held to its schema, or refused if only listed types are taken.</p>`,
    )}`;
}

function typeForm(request: PageRequest, to: string, type: EventTypeView | null, problem: Problem | null): Markup {
  const given = request.form;
  const value = (name: string, kept: string): string => given.get(name)?.[0] ?? kept;
  const isDeprecated = given.size > 0 ? given.has("deprecated") : type?.deprecated === true;
  return html`<form method="post" action="${to}" class="form">
    ${tokenField(request)} ${type === null ? "" : seenField(type)}
    ${type === null ? fieldView({ name: "name", label: "Type", value: value("name", ""), placeholder: "invoice.paid", isRequired: true }, problem) : ""}
    ${fieldView({ name: "description", label: "Description", value: value("description", type?.description ?? ""), isWide: true }, problem)}
    ${areaView("schema", "JSON Schema (2020-12) of the data; empty: any will do", value("schema", textOr(type?.schema ?? undefined)), problem)}
    ${areaView("example", "Example of the data; test events carry it", value("example", textOr(type?.example)), problem)}
    <p class="wide">
      <label
        ><input type="checkbox" name="deprecated" value="true" ${isDeprecated ? html`checked` : ""} /> Deprecated: still
        taken, and shown as such</label
      >
    </p>
    <div class="buttons"><button class="main">${type === null ? "Add the type" : "Save"}</button></div>
  </form>`;
}

function textOr(value: unknown): string {
  return value === undefined ? "" : jsonText(value);
}

function areaView(name: string, label: string, value: string, problem: Problem | null): Markup {
  const wrong = (problem?.errors ?? []).filter((each) => placeOf(each) === name);
  return html`<div class="field wide">
    <label for="f-${name}">${label}</label>
    <textarea
      id="f-${name}"
      name="${name}"
      rows="10"
      spellcheck="false"
      aria-invalid="${wrong.length > 0 ? "true" : "false"}"
      aria-describedby="${wrong.length === 0 ? "" : `f-${name}-wrong`}"
    >
${value}</textarea>
    ${wrong.length === 0 ? "" : html`<p class="wrong" id="f-${name}-wrong">${wrong.map(({ pointer = "", detail }) => `${pointer} ${detail}`).join("; ")}.</p>`}
  </div>`;
}

/** The body of the call, or what is wrong with the text of a field. */
function wishOf({ form }: PageRequest): { readonly body: object } | { readonly problem: Problem } {
  const body: Record<string, unknown> = {
    description: fieldOf(form, "description") || null,
    deprecated: form.has("deprecated"),
  };
  for (const name of ["schema", "example"]) {
    const text = fieldOf(form, name);
    if (text === "") continue;
    let value: unknown = null;
    try {
      value = JSON.parse(text);
    } catch {
      return { problem: notTaken(`The ${name} is no JSON.`, [name], "must be JSON") };
    }
    const loss = jsonLoss(text, value);
    if (loss !== null) {
      return { problem: notTaken(`The ${name} would not be kept as it is.`, [name, ...loss.path], loss.detail) };
    }
    body[name] = value;
  }
  return { body };
}

function notTaken(what: string, path: readonly (string | number)[], detail: string): Problem {
  const errors = [{ pointer: pointerTo(path), detail }];
  return problemOf(new PosthasteError("validation-failed", { detail: what, errors }));
}

async function save(request: PageRequest, name: string): Promise<Problem | null> {
  const wish = wishOf(request);
  if ("problem" in wish) return wish.problem;
  const put = await request.api.ask("PUT /v1/event-types/:name", { id: name, body: wish.body });
  return put.kind === "refused" ? put.problem : null;
}

async function create(request: PageRequest): Promise<Shown> {
  const name = fieldOf(request.form, "name");
  const problem = await save(request, name);
  return problem === null
    ? { kind: "moved", to: hrefOf(hrefOfType(name), { done: "saved" }) }
    : await listTypes(request, problem);
}

async function replace(request: PageRequest): Promise<Shown> {
  const name = request.param("name");
  // A form does not create what was deleted since it was shown.
  const type = valueOf(await request.api.ask("GET /v1/event-types/:name", { id: name }));
  const problem = changedSince(request.form, type) ?? (await save(request, name));
  return problem === null
    ? { kind: "moved", to: hrefOf(hrefOfType(name), { done: "saved" }) }
    : await showType(request, problem);
}

async function remove(request: PageRequest): Promise<Shown> {
  const name = request.param("name");
  const removed = await request.api.ask("DELETE /v1/event-types/:name", { id: name });
  if (removed.kind === "refused") return await listTypes(request, removed.problem);
  return { kind: "moved", to: hrefOf(PATH, { done: "deleted" }) };
}
