/** What to do when there is nothing to see yet: a command that works when it is pasted, but for the key. */
import { html } from "hono/html";
import type { Markup } from "../../html/markup.ts";
import type { PageRequest } from "../page-request.ts";
import { can } from "../page-request.ts";

/** In the portal nobody holds a key: the events are those of whoever runs it. */
export function publishHint({ place, origin, caller }: PageRequest): Markup {
  if (place.isPortal) return html`<p>What happens is sent to your endpoints, and shows here from then on.</p>`;
  const body = JSON.stringify({ type: "invoice.paid", data: { invoice: "in_1001", amount: 12.5 } });
  const command = `curl -i ${origin}/v1/events -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '${body}'`;
  return html`<p>
      Publish an event, with an API key that may <code>publish</code> as
      <code>$KEY</code>${can(caller, "publish") ? " (the one you signed in with may)" : ""}:
    </p>
    <pre tabindex="0"><code data-copy="the command">${command}</code></pre>`;
}
