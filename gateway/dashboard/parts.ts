/** What every page is put together from: times, states, ids, tables, links. All text in them is escaped. */
import { html } from "hono/html";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { Markup } from "../html/markup.ts";
import type { PageRequest } from "./page-request.ts";
import { isOperator } from "./page-request.ts";
import { relativeText } from "./words.ts";

export const NOTHING = html``;

/** A path of ours with its query; empty values are left out. */
export function hrefOf(path: string, query: Readonly<Record<string, string | null | undefined>> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== "");
  const search = new URLSearchParams(given as [string, string][]).toString();
  return search === "" ? path : `${path}?${search}`;
}

/** For an operator key a thing is named together with its tenant; a tenant key has its own alone. */
export function thingHref({ caller }: PageRequest, path: string, tenant: string): string {
  return hrefOf(path, isOperator(caller) ? { tenant } : {});
}

/** The tenant that the page's query names. */
export function namedTenant({ query }: PageRequest): string | null {
  return query.get("tenant") ?? null;
}

/** Of lists: an operator key sees every tenant, unless one is named. */
export function listedTenant(request: PageRequest): string | null {
  const named = namedTenant(request);
  return isOperator(request.caller) ? named || "*" : named;
}

export function timeView(at: string | null, nowMs: number): Markup {
  if (at === null) return html`<span class="quiet">never</span>`;
  return html`<time datetime="${at}" title="${at}">${relativeText(Date.parse(at), nowMs)}</time>`;
}

/** It can be selected at once, and the script puts a button beside it that copies it. */
export function idView(id: string): Markup {
  return html`<code class="id" data-copy>${id}</code>`;
}

const kinds: Readonly<Record<string, "good" | "bad" | "odd">> = {
  delivered: "good",
  active: "good",
  usable: "good",
  closed: "good",
  open: "bad",
  "half-open": "odd",
  dead: "bad",
  disabled: "bad",
  expired: "bad",
  revoked: "bad",
  retrying: "odd",
  retry: "odd",
  partial: "odd",
  backlog: "odd",
  paused: "odd",
  failing: "odd",
};
const marks = { good: "✓", bad: "✕", odd: "!", plain: "○" } as const;

/** In words, with a mark beside its colour. */
export function stateView(state: string): Markup {
  const kind = kinds[state] ?? "plain";
  return html`<span class="state ${kind}"><span aria-hidden="true">${marks[kind]}</span> ${state}</span>`;
}

export interface Column<Row> {
  readonly name: string;
  readonly show: (row: Row) => Markup | string | number;
}

/** The first column names the row. On a narrow screen each row is a card, which the roles keep a table. */
export function tableView<Row>(caption: string, columns: readonly Column<Row>[], rows: readonly Row[]): Markup {
  return html`<table role="table">
    <caption class="unseen">
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${columns.map(({ name }) => html`<th scope="col" role="columnheader">${name}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows.map(
        (row) =>
          html`<tr role="row">
            ${columns.map(({ name, show }, index) =>
              index === 0
                ? html`<th scope="row" role="rowheader" data-label="${name}">${show(row)}</th>`
                : html`<td role="cell" data-label="${name}">${show(row)}</td>`,
            )}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** Of a page without rows that is not the last. */
export const NOTHING_YET = html`<p>Nothing fits among those that were looked at so far. Go on to the next page.</p>`;

/** Lists go forward only; a page may have fewer rows than there is room, and still not be the last. */
export function pagerView(path: string, query: Readonly<Record<string, string>>, next: string | null): Markup {
  const { cursor, ...filters } = query;
  if (next === null && cursor === undefined) return NOTHING;
  return html`<nav class="pager" aria-label="Pages">
    ${cursor === undefined ? "" : html`<a href="${hrefOf(path, filters)}">First page</a>`}
    ${next === null ? html`<span class="quiet">This is the last page.</span>` : html`<a href="${hrefOf(path, { ...filters, cursor: next })}">Next page</a>`}
  </nav>`;
}

export function emptyView(title: string, what: Markup): Markup {
  return html`<div class="empty">
    <h2>${title}</h2>
    ${what}
  </div>`;
}

/** A definition list; what is null is left out. */
export function factsView(facts: readonly (readonly [string, Markup | string | number | null])[]): Markup {
  return html`<dl class="facts">
    ${facts.map(([name, value]) =>
      value === null
        ? ""
        : html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
    )}
  </dl>`;
}

export interface Tile {
  readonly name: string;
  readonly figure: Markup | string;
  readonly more: Markup | string;
}

export function tilesView(tiles: readonly Tile[]): Markup {
  return html`<ul class="tiles">
    ${tiles.map(
      ({ name, figure, more }) =>
        html`<li>
          <span class="name">${name}</span><span class="figure">${figure}</span><span class="quiet">${more}</span>
        </li>`,
    )}
  </ul>`;
}

/** What was refused, in words; `shown` are the fields that say their part themselves. */
export function problemView(problem: Problem | null, shown: readonly string[] = []): Markup {
  if (problem === null) return NOTHING;
  const errors = problem.errors ?? [];
  const others = errors.filter((each) => !shown.includes(placeOf(each)));
  if (errors.length > 0 && others.length === 0) {
    return html`<p class="notice bad" role="alert">
      Not done yet: see what is said at the ${errors.length === 1 ? "field" : "fields"}.
    </p>`;
  }
  return html`<div class="notice bad" role="alert">
    <strong>${problem.title}.</strong> ${problem.detail}
    ${
      others.length < 2
        ? ""
        : html`<ul>
            ${others.map((each) => html`<li><code>${placeOf(each)}</code> ${each.detail}</li>`)}
          </ul>`
    }
  </div>`;
}

/** The name of the field that a problem is about: the first step of its pointer, or its parameter. */
export function placeOf({ pointer, parameter }: { readonly pointer?: string; readonly parameter?: string }): string {
  return parameter ?? decodeURIComponent(pointer?.split("/")[1] ?? "");
}
