/** Forms: fields with what is wrong with them, buttons that change something, and those that ask first. */
import { html } from "hono/html";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { Markup } from "../html/markup.ts";
import type { PageRequest } from "./page-request.ts";
import { placeOf } from "./parts.ts";

export interface Field {
  readonly name: string;
  /** Where it is on the page, as ids and problems have it; the name, unless several have that. */
  readonly at?: string;
  readonly label: string;
  readonly value?: string;
  readonly hint?: string;
  /** What an empty field stands for, or an example. */
  readonly placeholder?: string;
  readonly type?: "text" | "password" | "url" | "datetime-local" | "number";
  readonly isRequired?: boolean;
  /** A list to choose from; the first is what is chosen without a choice. */
  readonly options?: readonly (readonly [value: string, label: string])[];
  readonly isWide?: boolean;
  /** Offered while it is typed; anything else may be typed as well. */
  readonly offered?: readonly string[];
}

/** With its problem, where the last try had one there. */
export function fieldView(field: Field, problem: Problem | null = null, prefix = "f"): Markup {
  const {
    name,
    label,
    value = "",
    hint,
    placeholder = "",
    type = "text",
    isRequired = false,
    options,
    offered = [],
  } = field;
  const place = field.at ?? name;
  const wrong = (problem?.errors ?? []).filter((each) => placeOf(each) === place).map(({ detail }) => detail);
  const id = `${prefix}-${place}`;
  const described = [hint === undefined ? "" : `${id}-hint`, wrong.length === 0 ? "" : `${id}-wrong`].join(" ").trim();
  const input =
    options === undefined
      ? html`<input
            id="${id}"
            name="${name}"
            type="${type}"
            value="${value}"
            placeholder="${placeholder}"
            ${isRequired ? html`required` : ""}
            aria-invalid="${wrong.length > 0 ? "true" : "false"}"
            aria-describedby="${described}"
            autocomplete="off"
            spellcheck="false"
            ${offered.length === 0 ? "" : html`list="${id}-offered"`}
          />
          ${offered.length === 0 ? "" : html`<datalist id="${id}-offered">${offered.map((each) => html`<option value="${each}"></option>`)}</datalist>`}`
      : html`<select
          id="${id}"
          name="${name}"
          aria-invalid="${wrong.length > 0 ? "true" : "false"}"
          aria-describedby="${described}"
        >
          ${options.map(
            ([option, words]) =>
              html`<option value="${option}" ${option === value ? html`selected` : ""}>${words}</option>`,
          )}
        </select>`;
  return html`<div class="field ${field.isWide === true ? "wide" : ""}">
    <label for="${id}">${label}</label>
    ${input} ${hint === undefined ? "" : html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${wrong.length === 0 ? "" : html`<p class="wrong" id="${id}-wrong">${label} ${wrong.join("; ")}.</p>`}
  </div>`;
}

export function tokenField({ token }: Pick<PageRequest, "token">): Markup {
  return html`<input type="hidden" name="token" value="${token}" />`;
}

export interface Action {
  /** With its query. */
  readonly to: string;
  readonly label: string;
  readonly fields?: Markup;
  readonly kind?: "main" | "danger" | "plain";
}

export function actionForm(request: PageRequest, { to, label, fields, kind = "plain" }: Action): Markup {
  return html`<form method="post" action="${to}" class="action">
    ${tokenField(request)} ${fields ?? ""}
    <button class="${kind}">${label}</button>
  </form>`;
}

/** It says what will happen before the button that does it can be reached. */
export function askedForm(request: PageRequest, action: Action, what: Markup): Markup {
  return html`<details class="asked">
    <summary>${action.label}…</summary>
    <div>${what} ${actionForm(request, { kind: "danger", ...action })}</div>
  </details>`;
}

export function hiddenFields(values: Readonly<Record<string, string>>): Markup {
  return html`${Object.entries(values).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}`;
}

/** The filters of a list. They go into the address, so that a view can be kept and sent to others. */
export function filterForm(path: string, fields: readonly Field[], problem: Problem | null): Markup {
  const isUsed = fields.some(({ value }) => (value ?? "") !== "");
  return html`<form method="get" action="${path}" class="filters" role="search" aria-label="Filter">
    ${fields.map((field) => fieldView(field, problem))}
    <div class="buttons">
      <button class="main">Filter</button>
      ${isUsed ? html`<a href="${path}">Clear</a>` : ""}
    </div>
  </form>`;
}
