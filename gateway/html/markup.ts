/** Small pieces of every page: what is escaped, what is code, what is a link. */
import { html } from "hono/html";
import { assert } from "@posthaste/shared/lib/assert.ts";

/** Of the templates of `hono/html`, with everything in it escaped; none of ours waits for anything. */
export type Markup = ReturnType<typeof html>;

/** Paragraphs, and code in backticks: all of Markdown that our descriptions have. */
export function prose(text: string): Markup {
  return html`${text.split("\n\n").map((paragraph) => html`<p>${inline(paragraph)}</p>`)}`;
}

export function inline(text: string): Markup {
  return html`${text.split("`").map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

export function example(value: unknown): Markup {
  return block(typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

/** It may be wider than the page, so that the keyboard must reach it to move it. */
export function block(text: string): Markup {
  return html`<pre tabindex="0"><code>${text}</code></pre>`;
}

/** Of a heading, from a name that may have dots, blanks and colons. */
export function anchor(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
}

/** The whole of a page, as it is sent. */
export function textOf(page: Markup): string {
  assert(!(page instanceof Promise), "nothing in a page is waited for");
  return page.toString();
}
