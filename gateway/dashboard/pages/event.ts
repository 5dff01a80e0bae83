/** `/dashboard/events/:id`: one event's whole story, and the way to send it again. */
import { html } from "hono/html";
import type * as v from "valibot";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { EventStatus, Why } from "../../answers/events.ts";
import type { Markup } from "../../html/markup.ts";
import { valueOf } from "../api.ts";
import { fieldOf } from "../form.ts";
import { actionForm, askedForm, hiddenFields } from "../form-parts.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { can, isOperator } from "../page-request.ts";
import { factsView, hrefOf, idView, namedTenant, NOTHING, problemView, stateView, timeView } from "../parts.ts";
import { indentedJson, manyText } from "../words.ts";
import { deliveryView, waitingText } from "./delivery-view.ts";
import { bodyOf, bodyView } from "./request-view.ts";

const ONE = "/dashboard/events/:id";
/** Whose headers are named; each costs a call. */
const ENDPOINTS_MAX = 5;
/** Of the data; the whole of it is for programs. */
const DATA_LENGTH_MAX = 64 * 1024;

export const eventPages: readonly PageRule[] = [
  { method: "GET", path: ONE, scope: "read", section: "events", show: (request) => showEvent(request, null) },
  { method: "POST", path: `${ONE}/resend`, scope: "manage", section: "events", show: resend },
];

type Refusal = Parameters<typeof problemView>[0];

async function showEvent(request: PageRequest, refusal: Refusal): Promise<Shown> {
  const { api } = request;
  const named = { id: request.param("id"), query: { tenant: namedTenant(request) } };
  const answered = await api.ask("GET /v1/events/:id", { ...named, query: { ...named.query, include: "data" } });
  const event = valueOf(answered);
  const told = await whyOf(request, event);
  const endpoints = await endpointsOf(request, event);
  const data = answered.kind === "done" ? rawDataOf(answered.text, event) : "";
  const body = html`${problemView(refusal)} ${sentView(request)} ${summaryView(request, event)}
    ${can(request.caller, "manage") ? resendView(request, event) : ""}
    <h2>Story</h2>
    ${storyView(request, event, { endpoints, told })}
    <h2>Data</h2>
    ${dataView(data)}
    <h2>Body, as it is sent</h2>
    ${bodyView(bodyOf(event, data))}`;
  return { kind: "page", status: refusal?.status ?? 200, title: event.type, body };
}

type Decisions = v.InferOutput<typeof Why>["decisions"];

/** What was decided for one delivery. */
interface Told {
  readonly deliveryId: string;
  readonly decisions: Decisions;
}

/** Of the delivery that was asked about, or of the only one; null too when it cannot be told. */
async function whyOf({ api, query }: PageRequest, event: EventStatus): Promise<Told | null> {
  const { deliveries } = event;
  const asked = deliveries.length === 1 ? deliveries[0]?.id : query.get("why");
  const delivery = deliveries.find(({ id }) => id === asked);
  if (delivery === undefined || delivery.endpoint_id === null) return null;
  const named = { endpoint: delivery.endpoint_id, delivery: delivery.id, tenant: query.get("tenant") ?? null };
  const why = await api.ask("GET /v1/events/:id/why", { id: event.id, query: named });
  return why.kind === "done" ? { deliveryId: delivery.id, decisions: why.value.decisions } : null;
}

function sentView({ query }: PageRequest): Markup {
  const count = Number(query.get("resent"));
  if (!Number.isSafeInteger(count) || count < 1) return NOTHING;
  return html`<p class="notice good" role="status">
    It is replayed: ${manyText(count, "delivery is", "deliveries are")} on the way. What is below was so as this page
    was opened:
    <a href="">look again</a>.
  </p>`;
}

function summaryView({ nowMs }: PageRequest, event: EventStatus): Markup {
  const { waiting } = event;
  return html`<p class="lead-state">
      ${stateView(event.state)} ${event.reason ?? ""}
      ${waiting === null || event.deliveries.length === 1 ? "" : waitingText(waiting, nowMs)}
    </p>
    ${factsView([
      ["Event id", idView(event.id)],
      ["Tenant", event.tenant],
      ["Accepted", timeView(event.accepted_at, nowMs)],
      ["Lane", `${event.lane} (priority ${event.priority})`],
      ["Happened", event.timestamp],
      ["To be delivered", event.deliver_at],
      ["Size", `${event.body_bytes} bytes`],
      ["Trace", event.trace_id === null ? null : idView(event.trace_id)],
    ])}`;
}

function resendView(request: PageRequest, event: EventStatus): Markup {
  const action = { to: formPath(request, event.id), label: "Replay to all" };
  return html`<div class="actions">
    ${askedForm(request, { ...action, kind: "main" }, html`<p>It is sent again to every active endpoint that subscribes to <code>${event.type}</code> now, those that have it already included.</p>`)}
  </div>`;
}

function formPath(request: PageRequest, id: string): string {
  return hrefOf(`/dashboard/events/${id}/resend`, { tenant: namedTenant(request) });
}

/** Those of the first deliveries; what cannot be read is left out. */
async function endpointsOf({ api }: PageRequest, event: EventStatus): Promise<ReadonlyMap<string, EndpointView>> {
  const ids = event.deliveries.flatMap(({ endpoint_id: id }) => (id === null ? [] : [id]));
  const query = { tenant: event.tenant };
  const asked = await Promise.all(
    [...new Set(ids)].slice(0, ENDPOINTS_MAX).map((id) => api.ask("GET /v1/endpoints/:id", { id, query })),
  );
  const found = asked.flatMap((each) => (each.kind === "done" ? [each.value] : []));
  return new Map(found.map((endpoint) => [endpoint.id, endpoint]));
}

function storyView(
  request: PageRequest,
  event: EventStatus,
  { endpoints, told }: { readonly endpoints: ReadonlyMap<string, EndpointView>; readonly told: Told | null },
): Markup {
  const { nowMs } = request;
  const { filtered_count: filtered } = event;
  const deliveries = inOrder(event.deliveries);
  return html`<ol class="timeline">
    <li class="good">
      <strong>Accepted</strong> ${timeView(event.accepted_at, nowMs)} into the lane <strong>${event.lane}</strong>:
      durable from then on.
    </li>
    ${event.deliver_at === null ? "" : html`<li>To be delivered from <strong>${event.deliver_at}</strong> on (${timeView(event.deliver_at, nowMs)}).</li>`}
    ${deliveries.length === 0 ? html`<li>${nobodyView(event)}</li>` : ""}
    ${filtered === 0 ? "" : html`<li class="quiet">${manyText(filtered, "endpoint does", "endpoints do")} not subscribe to its type.</li>`}
    ${deliveries.map(
      (delivery) =>
        html`<li class="${delivery.state === "delivered" ? "good" : delivery.state === "dead" ? "bad" : "odd"}">
          ${deliveryView(request, event, delivery, {
            endpoint: endpoints.get(delivery.endpoint_id ?? "") ?? null,
            actions: actionsOf(request, event, delivery, told),
            why: told?.deliveryId === delivery.id ? whyView(told.decisions) : NOTHING,
          })}
        </li>`,
    )}
  </ol>`;
}

type ShownDelivery = EventStatus["deliveries"][number];

/** By the time from which each could be made; of those of one time by that of their first attempts, those without one last. */
function inOrder(deliveries: readonly ShownDelivery[]): readonly ShownDelivery[] {
  const fromOf = ({ replayed_at: at }: ShownDelivery): string => at ?? "";
  const begunOf = ({ attempts }: ShownDelivery): number =>
    attempts[0] === undefined ? Number.POSITIVE_INFINITY : Date.parse(attempts[0].at) - attempts[0].duration_ms;
  return deliveries.toSorted((one, other) => {
    if (fromOf(one) !== fromOf(other)) return fromOf(one) < fromOf(other) ? -1 : 1;
    return begunOf(one) === begunOf(other) ? 0 : begunOf(one) - begunOf(other);
  });
}

function nobodyView({ state, type, waiting }: EventStatus): Markup {
  if (waiting !== null || state === "pending") return html`A processor has not taken it yet.`;
  if (state === "cancelled") return html`It was cancelled, and nobody gets it.`;
  return html`Nobody gets it: no endpoint of the tenant subscribes to <code>${type}</code>.
    <a href="/dashboard/endpoints">Change the event types of one, or create one</a>, then replay it.`;
}

function actionsOf(
  request: PageRequest,
  event: EventStatus,
  { id, endpoint_id: endpointId }: ShownDelivery,
  told: Told | null,
): Markup {
  if (endpointId === null) return NOTHING;
  const tenant = isOperator(request.caller) ? event.tenant : null;
  const why = hrefOf(`/dashboard/events/${event.id}`, { tenant, why: id });
  return html`<div class="actions">
    ${
      can(request.caller, "manage")
        ? actionForm(request, {
            to: formPath(request, event.id),
            label: "Replay to this endpoint",
            fields: hiddenFields({ endpoint_id: endpointId }),
          })
        : ""
    }
    ${told?.deliveryId === id ? "" : html`<a class="button" href="${why}#why">Why?</a>`}
  </div>`;
}

function whyView(decisions: Decisions): Markup {
  return html`<section class="why" id="why" aria-labelledby="why-title">
    <h4 id="why-title">Why: what was decided for this delivery</h4>
    ${factsView(decisions.map(({ on, code, detail }) => [on, html`<strong>${code}</strong><br />${detail}`] as const))}
  </section>`;
}

/** As it was published: parsed and written again, numbers could become others. */
function rawDataOf(text: string, { data: _data, ...facts }: EventStatus): string {
  return text.slice(JSON.stringify(facts).length - 1 + ',"data":'.length, -1);
}

function dataView(raw: string): Markup {
  const isCut = raw.length > DATA_LENGTH_MAX;
  return html`<pre
      class="data"
      tabindex="0"
    ><code data-copy="the data">${indentedJson(raw.slice(0, DATA_LENGTH_MAX))}</code></pre>
    ${isCut ? html`<p class="quiet">Its first 64 KiB. The API gives the whole.</p>` : ""}`;
}

async function resend(request: PageRequest): Promise<Shown> {
  const id = request.param("id");
  const endpointId = fieldOf(request.form, "endpoint_id");
  const sent = await request.api.ask("POST /v1/events/:id/resend", {
    id,
    query: { tenant: namedTenant(request) },
    body: endpointId === "" ? {} : { endpoint_id: endpointId },
  });
  if (sent.kind === "refused") return await showEvent(request, sent.problem);
  const resent = String(sent.value.deliveries.length);
  return { kind: "moved", to: hrefOf(`/dashboard/events/${id}`, { tenant: namedTenant(request), resent }) };
}
