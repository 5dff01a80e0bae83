/** One delivery in the story of its event: what it waits for, where its time went, and each attempt with its answer. */
import { html } from "hono/html";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { AttemptView, EventStatus, TimesView, WaitingView } from "../../answers/events.ts";
import type { Markup } from "../../html/markup.ts";
import type { PageRequest } from "../page-request.ts";
import type { Column } from "../parts.ts";
import { NOTHING, stateView, tableView, thingHref, timeView } from "../parts.ts";
import { relativeText, spanText } from "../words.ts";
import { requestView } from "./request-view.ts";

type ShownDelivery = EventStatus["deliveries"][number];

export function deliveryView(
  request: PageRequest,
  event: EventStatus,
  delivery: ShownDelivery,
  {
    endpoint,
    actions,
    why,
  }: { readonly endpoint: EndpointView | null; readonly actions: Markup; readonly why: Markup },
): Markup {
  const { nowMs } = request;
  const { endpoint_id: endpointId, url, waiting } = delivery;
  const where =
    endpointId === null
      ? html`to nobody: the endpoints of the tenant could not be read`
      : html`to
          <a href="${thingHref(request, `/dashboard/endpoints/${endpointId}`, event.tenant)}"
            >${url ?? html`an endpoint that is gone, <code>${endpointId}</code>`}</a
          >`;
  const shown = { name: "Request", show: (attempt: AttemptView) => requestView(event, { url, endpoint }, attempt) };
  const description = html`<span class="quiet">${endpoint?.description ?? ""}</span>`;
  return html`<div class="card">
    <h3>${delivery.replayed_at === null ? "Delivery" : "Replay"} ${where} ${description}</h3>
    <p>
      ${stateView(delivery.state)}
      ${waiting !== null && delivery.reason?.startsWith("waits:") === true ? "" : delivery.reason}
      ${delivery.replayed_at === null ? "" : html`· replayed ${timeView(delivery.replayed_at, nowMs)}`}
    </p>
    ${waiting === null ? "" : html`<p>${waitingText(waiting, nowMs)}</p>`} ${timesView(delivery.times)}
    ${delivery.attempts.length === 0 ? html`<p class="quiet">No attempt yet.</p>` : attemptTable(delivery.attempts, nowMs, { beside: [shown] })}
    ${why} ${actions}
  </div>`;
}

const waits: Readonly<Record<WaitingView["for"], string>> = {
  lane: "for a processor; it may be under way there",
  "deliver-at": "for its time",
  retry: "for its next attempt, after one that failed",
  "first-wait": "for its first attempt: the retry policy begins with a wait",
  "breaker-open": "because the endpoint failed several times in a row; it is tried again with a single attempt",
  throttled: "because the endpoint asked for less, or its rate limit is reached",
  busy: "because the endpoint answers slowly",
  unresolved: "because no name server answered",
  exhausted: "because this machine had no socket, port or memory left",
  unreadable: "because the tenant's endpoints cannot be read",
  failed: "because of an unexpected error; the log of the processor says more",
  crowded: "because others of the tenant have all the room that one tenant may have",
  paused: "until the endpoint's pause ends",
  disabled: "until the endpoint is enabled again",
  backlog: "because too much waits for this endpoint already",
};

/** What for, since when, and until when. */
export function waitingText(waiting: WaitingView, nowMs: number): Markup {
  const since = spanText(Math.max(0, nowMs - Date.parse(waiting.since)));
  const until = waiting.until === null ? "" : `, until ${relativeText(Date.parse(waiting.until), nowMs)}`;
  return html`<span>Waits ${waits[waiting.for]}. For ${since} by now${until}.</span>`;
}

function timesView(times: TimesView | null): Markup {
  if (times === null) return NOTHING;
  const spans = [
    ["in its lane", times.lane_ms],
    ["for a slot at the endpoint", times.limiter_ms],
    ["deferred", times.deferred_ms],
    ["between attempts", times.retry_ms],
    ["in attempts", times.attempts_ms],
  ] as const;
  const told = spans.filter(([, ms]) => ms > 0).map(([where, ms]) => `${spanText(ms)} ${where}`);
  return told.length === 0 ? NOTHING : html`<p class="quiet">Its time so far: ${told.join(", ")}.</p>`;
}

/** `more`: columns after the time. `beside`: before the answer. */
export function attemptTable<Row extends AttemptView>(
  attempts: readonly Row[],
  nowMs: number,
  { more = [], beside = [] }: { readonly more?: readonly Column<Row>[]; readonly beside?: readonly Column<Row>[] },
): Markup {
  const columns: readonly Column<Row>[] = [
    { name: "Attempt", show: ({ attempt }) => `#${attempt}` },
    { name: "When", show: ({ at }) => timeView(at, nowMs) },
    ...more,
    { name: "Outcome", show: ({ outcome }) => stateView(outcome) },
    ...beside,
    { name: "Answer", show: answerView },
    { name: "Took", show: ({ duration_ms }) => html`<span class="number">${spanText(duration_ms)}</span>` },
  ];
  return tableView("Attempts", columns, attempts);
}

/** What the receiver said, as text. */
function answerView({ status, fault, detail, response }: AttemptView): Markup {
  return html`${status === null ? html`no answer: ${fault}` : html`<strong>${status}</strong>`}
  ${detail === null || detail === `answered ${status}` ? "" : html`<span class="quiet">${detail}</span>`}
  ${response === null ? "" : answerBody(response)}`;
}

function answerBody({ excerpt, is_cut: isCut }: NonNullable<AttemptView["response"]>): Markup {
  if (excerpt === "") {
    const words = isCut ? "nothing of its body was read" : "no body in the answer";
    return html`<br /><span class="quiet">${words}</span>`;
  }
  return html`<details>
    <summary>Body of the answer${isCut ? ", its beginning" : ""}</summary>
    <pre tabindex="0"><code>${excerpt}</code></pre>
  </details>`;
}
