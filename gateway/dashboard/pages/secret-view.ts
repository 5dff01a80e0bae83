/** What is shown once. */
import { html } from "hono/html";
import type { Markup } from "../../html/markup.ts";
import { idView } from "../parts.ts";

export function secretView(what: "secret" | "key", value: string): Markup {
  return html`<div class="notice odd">
    <strong>Copy the ${what} now:</strong> it is shown this once and never again.
    <p>${idView(value)}</p>
  </div>`;
}
