/** The headers of an endpoint's own in its form. Their values are never shown: each is kept, changed or removed by itself. */
import { html } from "hono/html";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { Markup } from "../../html/markup.ts";
import type { Form } from "../form.ts";
import { fieldView } from "../form-parts.ts";

/** Rows for new ones; whoever needs more saves twice. */
const NEW_ROWS = 2;

export interface Row {
  readonly name: string;
  readonly value: string;
  /** `keep`, `remove`, or `add` for what the endpoint does not have. */
  readonly what: string;
}

/** The rows as they were sent; each has all three fields, in the order of the page. */
function rowsTyped(form: Form): readonly Row[] {
  const names = form.get("header_name") ?? [];
  const [values = [], whats = []] = ["header_value", "header_do"].map((name) => form.get(name));
  return names.map((name, index) => ({ name: name.trim(), value: values[index] ?? "", what: whats[index] ?? "add" }));
}

/** What changes: a value, or null for one that is removed. What is kept is left out, so that its value stays. */
export function headersTyped(form: Form): Readonly<Record<string, string | null>> {
  const changes = rowsTyped(form).flatMap(({ name, value, what }): readonly (readonly [string, string | null])[] => {
    if (what === "remove") return [[name, null]];
    const isNothing = value === "" && (what === "keep" || name === "");
    return isNothing ? [] : [[name, value]];
  });
  return Object.fromEntries(changes);
}

/** A name that two rows have: an object has room for one of them. */
export function nameGivenTwice(form: Form): string | null {
  const names = rowsTyped(form).map(({ name }) => name.toLowerCase());
  return names.find((name, at) => name !== "" && names.indexOf(name) !== at) ?? null;
}

/** `names` are those that the endpoint has. What was typed of them, and beside them, stays. */
export function rowsShown(form: Form, names: readonly string[]): readonly Row[] {
  const typed = rowsTyped(form);
  const given = names.map((name): Row => {
    const row = typed.find((each) => each.name === name && each.what !== "add");
    return row ?? { name, value: "", what: "keep" };
  });
  const added = typed.filter(({ name, value, what }) => what === "add" && name + value !== "");
  const blank = Array.from({ length: Math.max(0, NEW_ROWS - added.length) }, () => ({
    name: "",
    value: "",
    what: "add",
  }));
  return [...given, ...added, ...blank];
}

export function headerPlace(index: number): string {
  return `header_${index}`;
}

/** Which row a header is in; the API names it as it was typed, or in lower case. Of two rows the later. */
export function headerAt(rows: readonly Row[]): (name: string) => string | null {
  return (name) => {
    const isIt = (row: Row): boolean => row.name.toLowerCase() === name.toLowerCase() && row.name + row.value !== "";
    const index = rows.findLastIndex(isIt);
    return index === -1 ? null : headerPlace(index);
  };
}

export function headerRows(rows: readonly Row[], problem: Problem | null): Markup {
  return html`<fieldset class="headers">
    <legend>Headers of its own</legend>
    <p class="hint">Sent with each message, such as a token of the receiver. Their values are never shown again.</p>
    ${rows.map((row, index) => rowView(row, index, problem))}
  </fieldset>`;
}

function rowView({ name, value, what }: Row, index: number, problem: Problem | null): Markup {
  const place = headerPlace(index);
  const isGiven = what !== "add";
  const wrong = (problem?.errors ?? []).filter(({ parameter }) => parameter === place);
  const described = wrong.length === 0 ? "" : `f-${place}-wrong`;
  return html`<div class="header-row">
    ${
      isGiven
        ? html`<input type="hidden" name="header_name" value="${name}" /> ${fieldView({
              name: "header_do",
              at: `${place}_do`,
              label: name,
              value: what,
              options: [
                ["keep", "keep"],
                ["remove", "remove"],
              ],
            })}`
        : html`<div class="field">
              <label for="f-${place}_name">New header</label>
              <input
                id="f-${place}_name"
                name="header_name"
                value="${name}"
                placeholder="x-token"
                autocomplete="off"
                spellcheck="false"
                aria-invalid="${wrong.length > 0 ? "true" : "false"}"
                aria-describedby="${described}"
              />
            </div>
            <input type="hidden" name="header_do" value="add" />`
    }
    ${fieldView({ name: "header_value", at: place, label: isGiven ? `New value of ${name}` : "Value", value, placeholder: isGiven ? "*** (kept when this is empty)" : "" }, problem)}
  </div>`;
}
