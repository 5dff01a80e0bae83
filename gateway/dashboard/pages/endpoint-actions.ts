/** What can be done with an endpoint, as forms; what was done, in words. */
import { html } from "hono/html";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { Markup } from "../../html/markup.ts";
import { actionForm, askedForm, fieldView, hiddenFields } from "../form-parts.ts";
import type { PageRequest } from "../page-request.ts";
import { isOperator } from "../page-request.ts";
import { hrefOf, namedTenant, NOTHING, thingHref } from "../parts.ts";

const done: Readonly<Record<string, string>> = {
  paused: "The endpoint is paused. What comes meanwhile is held for it.",
  resumed: "The endpoint is active. What was held for it is delivered now.",
  changed: "The settings are saved.",
};

export function doneView(request: PageRequest): Markup {
  const { query } = request;
  const words = done[query.get("done") ?? ""];
  if (words !== undefined) return html`<p class="notice good" role="status">${words}</p>`;
  const sent = query.get("sent");
  if (sent === undefined || !/^[\w-]{1,64}$/.test(sent)) return NOTHING;
  const tenant = isOperator(request.caller) ? (namedTenant(request) ?? "default") : "";
  const href = thingHref(request, `/dashboard/events/${sent}`, tenant);
  return html`<p class="notice good" role="status">
    The test event <a href="${href}"><code>${sent}</code></a> is on its way.
  </p>`;
}

export function actionsView(request: PageRequest, endpoint: EndpointView, refusal: Problem | null): Markup {
  const to = (what: string): string =>
    hrefOf(`/dashboard/endpoints/${endpoint.id}/${what}`, { tenant: namedTenant(request) });
  const test = {
    to: to("test"),
    label: "Send a test event",
    kind: "main",
    fields: fieldView({ name: "type", label: "Event type of the test", value: "posthaste.test" }, refusal),
  } as const;
  const isActive = endpoint.status === "active";
  return html`<div class="actions">${isActive ? actionForm(request, test) : ""}</div>
    <div class="actions">
      ${
        isActive
          ? actionForm(request, { to: to("state"), label: "Pause", fields: hiddenFields({ paused: "true" }) })
          : actionForm(request, {
              to: to("state"),
              label: endpoint.status === "paused" ? "Resume" : "Enable",
              kind: "main",
              fields: hiddenFields({ from: endpoint.status }),
            })
      }
      <a class="button" href="${to("edit")}">Change settings</a>
      ${askedForm(
        request,
        { to: to("rotate-secret"), label: "Rotate the secret" },
        html`<p>A new secret is made and shown once. The old one signs beside it for 24 hours.</p>`,
      )}
      ${askedForm(
        request,
        { to: to("delete"), label: "Delete" },
        html`<p>What is held for it ends as dead at once. It cannot be undone.</p>`,
      )}
    </div>`;
}
