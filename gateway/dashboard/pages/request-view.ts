/**
 * The request of an attempt beside its answer. Attempts are not kept with their requests: what is shown is what follows from the event,
 * the endpoint and the number of the attempt, and what does not follow is named as such.
 */
import { html } from "hono/html";
import { USER_AGENT } from "@posthaste/shared/domain/message.ts";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { AttemptView, EventStatus } from "../../answers/events.ts";
import type { Markup } from "../../html/markup.ts";

/** Then there was no connection, and nothing was sent. */
const UNSENT: ReadonlySet<string> = new Set([
  "connect-refused",
  "dns",
  "resolver",
  "exhausted",
  "tls",
  "forbidden-address",
  "unreachable",
]);
const BODY_LENGTH_MAX = 64 * 1024;

export interface SentTo {
  /** As it is now; null when it is gone. */
  readonly url: string | null;
  /** Null where it was not asked for, or is gone. */
  readonly endpoint: EndpointView | null;
}

export function requestView(event: EventStatus, { url, endpoint }: SentTo, attempt: AttemptView): Markup {
  const { group_id: group, fault } = attempt;
  if (fault !== null && UNSENT.has(fault)) return html`<span class="quiet">nothing was sent</span>`;
  const own = Object.keys(endpoint?.headers ?? {});
  const began = new Date(Date.parse(attempt.at) - attempt.duration_ms).toISOString();
  const isChanged = endpoint !== null && endpoint.updated_at > attempt.at;
  const lines = [
    `POST ${isChanged ? "(the URL of then)" : (url ?? "(the endpoint is gone)")}`,
    ...own.map((name) => `${name}: (not shown)`),
    "content-type: application/json",
    "accept-encoding: identity",
    `user-agent: ${USER_AGENT}`,
    `webhook-id: ${group ?? event.id}`,
    `webhook-timestamp: (in whole seconds, about ${began})`,
    "webhook-signature: v1,(made for this attempt, not kept)",
    `posthaste-attempt: ${attempt.attempt}`,
    ...(event.trace_id === null ? [] : ["traceparent: (of the trace)"]),
    ...(group === undefined ? [`content-length: ${event.body_bytes}`] : []),
  ];
  return html`<details>
      <summary>Request</summary>
      <pre tabindex="0"><code>${lines.join("\n")}</code></pre>
      <p class="hint">
        ${group === undefined ? html`<a href="#body">Its body</a> is the same on each attempt.` : "Its body was that of the batch, with other events in it."}
        ${isChanged ? "The names of the endpoint's own headers are those of now." : ""}
        ${endpoint === null ? "Headers of the endpoint's own are not among these." : ""}
      </p>
    </details>
    ${isChanged ? html`<span class="quiet">the endpoint was changed since; its URL may have been another</span>` : ""}`;
}

/** To the byte, or null when that cannot be told: what is rebuilt has the length of what was sent. */
export function bodyOf({ type, timestamp, body_bytes: length }: EventStatus, data: string): string | null {
  const text = `{"type":${JSON.stringify(type)},"timestamp":"${timestamp}","data":${data}}`;
  return new TextEncoder().encode(text).length === length ? text : null;
}

export function bodyView(body: string | null): Markup {
  if (body === null)
    return html`<p class="quiet" id="body">It cannot be rebuilt to the byte. Type, timestamp and data are above.</p>`;
  const isCut = body.length > BODY_LENGTH_MAX;
  return html`<pre
      class="data"
      id="body"
      tabindex="0"
    ><code data-copy="the body">${body.slice(0, BODY_LENGTH_MAX)}</code></pre>
    <p class="quiet">
      ${isCut ? "Its first 64 KiB. " : ""}Signed together with <code>webhook-id</code> and
      <code>webhook-timestamp</code>: these bytes, and no others, verify.
    </p>`;
}
