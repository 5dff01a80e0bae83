/** What can be done with an endpoint, as forms; what was done, in words. */
import { html } from "hono/html";
import { TEST_EVENT_TYPE } from "@posthaste/shared/domain/own-event.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { Markup } from "../../html/markup.ts";
import { fieldOf } from "../form.ts";
import { actionForm, askedForm, fieldView, hiddenFields } from "../form-parts.ts";
import type { PageRequest } from "../page-request.ts";
import { isOperator } from "../page-request.ts";
import { hrefOf, namedTenant, NOTHING, thingHref } from "../parts.ts";
import { manyText } from "../words.ts";

const done: Readonly<Record<string, string>> = {
  paused: "The endpoint is paused. What comes meanwhile is held for it.",
  resumed: "The endpoint is active. What was held for it is delivered now.",
  changed: "The settings are saved.",
};

/** Counted so far; a store reads each with its body. */
const DEAD_MAX = 20;
const TYPES_MAX = 100;

export async function doneView(request: PageRequest, { id }: EndpointView): Promise<Markup> {
  const { query } = request;
  const what = query.get("done") ?? "";
  const words = done[what];
  if (words !== undefined) {
    return html`<div class="notice good" role="status">
      ${words} ${what === "paused" ? "" : await stillDeadView(request, id)}
    </div>`;
  }
  const sent = query.get("sent");
  if (sent === undefined || !/^[\w-]{1,64}$/.test(sent)) return NOTHING;
  const tenant = isOperator(request.caller) ? (namedTenant(request) ?? "default") : "";
  const href = thingHref(request, `/dashboard/events/${sent}`, tenant);
  return html`<p class="notice good" role="status">
    The test event <a href="${href}"><code>${sent}</code></a> is on its way.
  </p>`;
}

/** Whoever has mended something may think that what died of it is sent now. */
async function stillDeadView({ api, query }: PageRequest, id: string): Promise<Markup> {
  const tenant = query.get("tenant") ?? null;
  const wish = { endpoint_id: id, state: "dead", tenant };
  const dead = await api.ask("GET /v1/dead-letters", { query: { ...wish, limit: String(DEAD_MAX) } });
  if (dead.kind === "refused" || dead.value.data.length === 0) return NOTHING;
  const isMore = dead.value.next_cursor !== null;
  const count = dead.value.data.length;
  const many = `${manyText(count, "delivery", "deliveries")}${isMore ? " and more" : ""}`;
  return html`What died before is not sent again by this: ${many}.
    <a href="${hrefOf("/dashboard/dead-letters", wish)}">Look at its dead letters, and replay them</a>`;
}

/** Of the catalogue, as far as one call tells; none where it cannot be read. */
export async function listedTypes({ api }: PageRequest): Promise<readonly string[]> {
  const listed = await api.ask("GET /v1/event-types", { query: { limit: String(TYPES_MAX) } });
  return listed.kind === "done" ? listed.value.data.map(({ name }) => name) : [];
}

export function actionsView(
  request: PageRequest,
  endpoint: EndpointView,
  { refusal, types }: { readonly refusal: Problem | null; readonly types: readonly string[] },
): Markup {
  const to = (what: string): string =>
    hrefOf(`/dashboard/endpoints/${endpoint.id}/${what}`, { tenant: namedTenant(request) });
  const typed = fieldOf(request.form, "type");
  const test = {
    to: to("test"),
    label: "Send a test event",
    kind: "main",
    fields: fieldView(
      {
        name: "type",
        label: "Event type of the test",
        value: typed === "" ? TEST_EVENT_TYPE : typed,
        offered: [TEST_EVENT_TYPE, ...types],
        hint: `This endpoint gets it whatever it subscribes to, and no other does.${types.length === 0 ? "" : " One of the listed types has its example as data."}`,
      },
      refusal,
    ),
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
