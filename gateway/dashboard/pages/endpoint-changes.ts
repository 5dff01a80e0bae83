/** The forms of one endpoint: pause, resume, test, new secret, deletion. */
import { html } from "hono/html";
import type { Answered } from "../api.ts";
import { fieldOf } from "../form.ts";
import type { PageRequest, PageRule, Shown } from "../page-request.ts";
import { hrefOf, namedTenant, timeView } from "../parts.ts";
import { showEndpoint } from "./endpoints.ts";
import { secretView } from "./secret-view.ts";

const ONE = "/dashboard/endpoints/:id";
const shared = { method: "POST", scope: "manage", section: "endpoints" } as const;

export const endpointChanges: readonly PageRule[] = [
  { ...shared, path: `${ONE}/state`, show: changeState },
  { ...shared, path: `${ONE}/test`, show: sendTest },
  { ...shared, path: `${ONE}/rotate-secret`, show: rotate },
  { ...shared, path: `${ONE}/delete`, show: remove },
];

async function changeState(request: PageRequest): Promise<Shown> {
  const isPause = fieldOf(request.form, "paused") === "true";
  const body = isPause
    ? { paused: true }
    : fieldOf(request.form, "from") === "disabled"
      ? { disabled: false }
      : { paused: false };
  const changed = await request.api.ask("PATCH /v1/endpoints/:id", { ...named(request), body });
  return await back(request, changed, { done: isPause ? "paused" : "resumed" });
}

async function sendTest(request: PageRequest): Promise<Shown> {
  const type = fieldOf(request.form, "type");
  const body = type === "" ? {} : { type };
  const sent = await request.api.ask("POST /v1/endpoints/:id/test", { ...named(request), body });
  return await back(request, sent, { sent: sent.kind === "done" ? sent.value.id : "" });
}

async function rotate(request: PageRequest): Promise<Shown> {
  const rotated = await request.api.ask("POST /v1/endpoints/:id/rotate-secret", named(request));
  if (rotated.kind === "refused") return await showEndpoint(request, rotated.problem);
  const { secret, previous_expires_at: until } = rotated.value;
  const body = html`${secretView("secret", secret)}
    <p>
      The secret before signs beside it
      ${until === null ? "no more" : html`and ends ${timeView(until, request.nowMs)}`}: give the receiver the new one
      until then.
    </p>
    <p><a href="${placeOf(request)}">Back to the endpoint</a></p>`;
  return { kind: "page", title: "The new secret", body };
}

async function remove(request: PageRequest): Promise<Shown> {
  const removed = await request.api.ask("DELETE /v1/endpoints/:id", named(request));
  if (removed.kind === "refused") return await showEndpoint(request, removed.problem);
  return { kind: "moved", to: hrefOf("/dashboard/endpoints", { tenant: namedTenant(request) }) };
}

function named(request: PageRequest) {
  return { id: request.param("id"), query: { tenant: namedTenant(request) } };
}

function placeOf(request: PageRequest, more: Readonly<Record<string, string>> = {}): string {
  return hrefOf(`/dashboard/endpoints/${request.param("id")}`, { tenant: namedTenant(request), ...more });
}

async function back(
  request: PageRequest,
  answered: Answered<unknown>,
  more: Readonly<Record<string, string>>,
): Promise<Shown> {
  if (answered.kind === "refused") return await showEndpoint(request, answered.problem);
  return { kind: "moved", to: placeOf(request, more) };
}
